"""Improved precision and recall, by torch-fidelity."""

from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.finite import check_features

# Rows whose distances to all others are in memory at a time: 500 x 50,000 take 100 MB.
PART = 500


def precision_recall(generated: Tensor, reference: Tensor, neighbours: int = 3) -> dict[str, float]:
    """Compute improved precision and recall (Kynkäänniemi et al., 2019).

    ``precision`` is the fraction of generated images that are closer to some reference image than
    its k-th nearest neighbor in the reference set; ``recall`` is the same with the sets exchanged.

    Args:
        generated, reference: Features (N, dim) and (M, dim), float32.
        neighbours: k; the ADM evaluator uses 3.

    Raises:
        UserError: A set has at most k images, or features that are not finite.
    """
    from torch_fidelity.metric_prc import prc_features_to_metric

    if min(len(generated), len(reference)) <= neighbours:
        raise UserError(
            f'Precision and recall need more than {neighbours} images in each set, got '
            f'{len(generated)} and {len(reference)}.'
        )
    check_features(generated, reference)
    out = prc_features_to_metric(
        generated,
        reference,
        prc_neighborhood=neighbours,
        prc_batch_size=PART,
        save_cpu_ram=True,
        verbose=False,
    )
    return dict(precision=out['precision'], recall=out['recall'])
