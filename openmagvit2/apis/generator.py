"""The interface of generators: labels to images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from openmagvit2.apis.hub import Pretrained
from openmagvit2.errors import UserError
from openmagvit2.visualization import to_uint8

if TYPE_CHECKING:
    from openmagvit2.evaluation.rejection import Rejection

Labels = Sequence[int] | np.ndarray | Tensor


class Generator(Pretrained):
    """A trained generator, which contains its tokenizer.

    Args:
        model: The generator; see :meth:`from_config`.
        sampling: Default settings for sampling; None for the config's ``eval_sampling``.
        config: Its merged config, for :meth:`save_pretrained`.

    Raises:
        UserError: The model is not a generator.
    """

    def __init__(
        self, model: nn.Module, sampling: dict | None = None, *, config: Config | None = None
    ) -> None:
        # Importing the models takes a second, which `import openmagvit2.apis` must not take.
        from openmagvit2.models.generators import BaseGenerator

        if not isinstance(model, BaseGenerator):
            raise UserError(
                f'Generator needs the config of a generator; this one builds '
                f'{type(model).__name__}.'
            )
        super().__init__(model, config=config)
        if sampling is None and config is not None:
            sampling = config.get('eval_sampling')
        self.sampling = dict(sampling or {})
        # For sets of samples.
        self.rejection = dict((config or {}).get('eval_rejection') or {})

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, in the order of their labels.

        They come from the conditioner or the checkpoint; None if neither has any, as with converted
        checkpoints.
        """
        names = self.model.conditioner.names
        if names is None:
            names = self.model.dataset_meta.get('classes')
        return [str(name) for name in names] if isinstance(names, (list, tuple)) else None

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.model.parameters()).device

    def sample_indices(
        self, labels: Labels, seed: int = 0, numbers: Sequence[int] | None = None, **sampling: Any
    ) -> Tensor:
        """Map labels (B,) to indices int64 (B, *token_shape); see :meth:`sample` for arguments."""
        return self.model.generate(labels, self.sampling | sampling, seed, numbers)

    def sample(
        self, labels: Labels, seed: int = 0, numbers: Sequence[int] | None = None, **sampling: Any
    ) -> np.ndarray:
        """Map labels (B,) to images uint8 (B, H, W, 3).

        Args:
            labels: Class of each image, as integers from 0 in a list, an array or a tensor; -1 for
                an image of any class.
            seed: Random seed for sampling; a sample depends only on (seed, class, number).
            numbers: Number of each sample within its class; by default, they are counted in order.
            sampling: ``guidance``, ``temperature``, ``top_k``, ``top_p``, ``schedule`` and
                ``interval``, which override the config's; one value, or one per sub-token.

        Raises:
            UserError: A label or a setting is out of range, or the model's logits are not finite.
        """
        return to_uint8(self.model.images(labels, self.sampling | sampling, seed, numbers))

    def sample_pairs(
        self,
        pairs: Sequence[tuple[int, int]],
        *,
        seed: int = 0,
        batch_size: int = 50,
        rejection: 'Rejection | None' = None,
        **sampling: Any,
    ) -> np.ndarray:
        """Sample a set of images in batches; return uint8 (N, H, W, 3).

        Args:
            pairs: Label of each image, and its number within the label.
            seed: Random seed for sampling.
            batch_size: Images per batch; the result does not depend on it.
            rejection: Sample more images of each label and keep those that a classifier finds most
                probable, as many as the label has pairs. Images are then ordered by label, and the
                numbers of the pairs are ignored.
            sampling: See :meth:`sample`.

        Raises:
            UserError: There are no pairs, ``batch_size`` is not a positive integer, or see
                :meth:`sample`.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f'batch_size must be a positive integer, got {batch_size!r}.')
        if not pairs:
            raise UserError('pairs must not be empty.')

        from openmagvit2.evaluation.sample_set import draw

        if rejection is not None:
            rejection.prepare([label for label, _ in pairs], self.device)
        settings = self.sampling | sampling
        images = draw(self.model, pairs, settings, seed, batch_size, rejection, 'cpu')
        return images.movedim(1, -1).numpy()
