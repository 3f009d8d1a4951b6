"""Which metrics fit which model: reconstructions of a tokenizer, likelihoods of a generator."""

from collections.abc import Sequence

from openmagvit2.errors import UserError
from openmagvit2.evaluation.names import SHORT_NAMES
from openmagvit2.protocols import Staged
from openmagvit2.registry import METRICS, MODELS, Registry


def check_stages(evaluators: Sequence[dict], model: dict, source: str) -> None:
    """Check before building that each evaluator measures something that the model gives.

    Metrics and models without a ``stage``, as those of other packages, pass.

    Args:
        evaluators: Configs of metrics.
        model: Config of the model.
        source: The config's file, for the error.

    Raises:
        UserError: A metric of reconstructions meets a generator, or one of likelihoods a tokenizer.
    """
    own = _stage(MODELS, model)
    for evaluator in evaluators:
        wanted = _stage(METRICS, evaluator)
        if None not in (own, wanted) and own != wanted:
            having = [
                name for name, metric in SHORT_NAMES.items() if _stage(METRICS, metric) == own
            ]
            raise UserError(
                f'{_name(evaluator)} needs a {wanted}; {source} is of a {own}, which has '
                f'{", ".join(having)}.'
            )


def _stage(registry: Registry, built: dict) -> str | None:
    cls = registry.find(built.get('type'))
    return cls.stage if isinstance(cls, Staged) else None


def _name(evaluator: dict) -> str:
    """Return the name of an evaluator on the command line."""
    kind = evaluator['type']
    kind = kind if isinstance(kind, str) else kind.__name__
    return next((name for name, metric in SHORT_NAMES.items() if metric['type'] == kind), kind)
