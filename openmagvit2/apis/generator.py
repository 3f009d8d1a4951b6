"""Front door of stage II: labels to images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from openmagvit2.apis.init_model import init_model
from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.models.generators import BaseGenerator
from openmagvit2.visualization import to_uint8

Labels = Sequence[int] | np.ndarray | Tensor


class Generator:
    """A trained generator with its tokenizer inside.

    Args:
        model: A generator; see :meth:`from_config`.
        sampling: Default settings; the config's ``eval_sampling``.
    """

    def __init__(self, model: nn.Module, sampling: dict | None = None) -> None:
        if not isinstance(model, BaseGenerator):
            raise UserError(
                f'Generator needs the config of a generator, this one makes a '
                f'{type(model).__name__}.'
            )
        self.model, self.sampling = model.eval(), dict(sampling or {})

    @classmethod
    def from_config(
        cls,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: dict[str, Any] | None = None,
        dtype: torch.dtype | str | None = None,
    ) -> 'Generator':
        """See :func:`init_model`; the checkpoint holds the tokenizer too."""
        if not isinstance(config, Config):
            config, cfg_options = load_config(config_path(config), cfg_options), None
        return cls(
            init_model(config, checkpoint, device, cfg_options, dtype), config.get('eval_sampling')
        )

    @property
    def class_names(self) -> list[str] | None:
        """Name of each class, by its label: the conditioner's, or those that the checkpoint keeps;
        None where neither has any (converted checkpoints).
        """
        names = self.model.conditioner.names
        if names is None:
            names = self.model.dataset_meta.get('classes')
        return [str(name) for name in names] if isinstance(names, (list, tuple)) else None

    def sample_indices(
        self, labels: Labels, seed: int = 0, numbers: Sequence[int] | None = None, **sampling: Any
    ) -> Tensor:
        """Map labels (B,) to indices int64 (B, *token_shape); the arguments of :meth:`sample`."""
        return self.model.generate(labels, self.sampling | sampling, seed, numbers)

    def sample(
        self, labels: Labels, seed: int = 0, numbers: Sequence[int] | None = None, **sampling: Any
    ) -> np.ndarray:
        """Map labels (B,) to images uint8 (B, H, W, 3).

        Args:
            labels: Class of each image, whole numbers from 0 in a list, an array or a tensor; -1 is
                the null class: any class.
            seed: Random seed for sampling; (seed, class, number) alone decide a sample.
            numbers: Number of each sample within its class; counted in order by default.
            sampling: ``guidance``, ``temperature``, ``top_k``, ``top_p``, ``schedule``,
                ``interval`` instead of the config's; one value, or one a sub-token.

        Raises:
            UserError: A label or a setting is out of range; the model's logits are not finite.
        """
        return to_uint8(
            self.model.decode_indices(self.sample_indices(labels, seed, numbers, **sampling))
        )
