"""Base class of generators, which predict a frozen tokenizer's indices (paper, section 2.3)."""

from typing import Any

import numpy as np
import torch
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from openmagvit2.models.generators.sampling import Sampling


class BaseGenerator(Sampling):
    """Training and validation of a generator of a frozen tokenizer's tokens.

    A paradigm implements :meth:`losses`, :meth:`nll` and :meth:`decode`, and :meth:`teacher` if its
    losses need more than tokens and conditions.
    """

    def teacher(self, batch: int, iteration: int, draws: Tensor | None) -> dict[str, Any]:
        """Return the arguments of :meth:`losses` in training beyond tokens and conditions.

        Args:
            batch: Number of images B.
            iteration: Number of finished iterations.
            draws: Uniform numbers (B, ``num_draws``) in [0, 1), one row per sample, or None.
        """
        return {}

    def nll(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """Return the validation metric of each image, the negative log-likelihood in nats: (B,)."""
        raise NotImplementedError

    @property
    def num_draws(self) -> int:
        """Number of uniform numbers that a training sample needs."""
        return self.order.num_uniforms

    def train_step(
        self,
        data: dict,
        optim_wrapper: OptimWrapperDict,
        handles: dict[str, nn.Module] | None = None,
        iteration: int = 0,
    ) -> dict[str, Tensor]:
        """Take one step on the sub-tokens of a batch; some conditions are dropped at random.

        Args:
            data: A batch of the data set.
            optim_wrapper: Contains a wrapper for the role 'transformer'.
            handles: Data-parallel wrappers of the roles; None for the modules themselves, as in a
                single process.
            iteration: Number of finished iterations.

        Returns:
            Detached scalars for the log.
        """
        handle = (handles or self.roles())['transformer']
        data = self._prepared(data, True)
        condition = self.conditioner.drop(self._condition(data), data.get('uniform'))
        draws, given = data.get('draws'), {}
        own = None if draws is None else draws[:, : self.num_draws]
        if self.soft_targets and draws is not None:
            sub_indices, given['targets'] = self.soft_tokens(data, draws[:, self.num_draws :])
        else:
            sub_indices = self.sub_indices(data)
        given |= self.teacher(len(sub_indices), iteration, own)
        wrapper = optim_wrapper['transformer']
        with wrapper.optim_context(handle):
            losses = handle(sub_indices, condition, **given)
        loss = sum(losses.values())
        wrapper.update_params(loss)
        return {name: value.detach() for name, value in dict(loss=loss, **losses).items()}

    @torch.no_grad()
    def val_step(self, data: dict) -> list[dict]:
        """Return one dict of batched tensors: ``nll`` in nats (B,) and the condition, such as
        ``label`` (B,).
        """
        data = self._prepared(data, False)
        nll = self.nll(self.sub_indices(data), self._condition(data))
        return [dict(self._condition(data), nll=nll)]

    def test_step(self, data: dict) -> list[dict]:
        """See :meth:`val_step`, which a subclass may replace."""
        return self.val_step(data)

    def _prepared(self, data: dict, training: bool) -> dict:
        """Return a batch on the model's device; its conditions are checked on the CPU first."""
        self.conditioner.check_batch(data)
        count = self.num_draws
        if self.soft_targets:
            count += self.num_tokens * len(self.head.vocab_sizes)
        if training and count:
            data = dict(data, draws=more_uniforms(data, count))
        return self.data_preprocessor(data, training)

    def _condition(self, data: dict) -> dict[str, Tensor]:
        return {name: data[name] for name in self.conditioner.reads}


def more_uniforms(data: dict, count: int) -> Tensor:
    """Return uniform numbers for each sample of a batch, float32 (B, count) in [0, 1).

    If the data set provides a number ``uniform`` for each (seed, epoch, index), they are a function
    of it, so that the split of the batch over processes does not matter; otherwise torch draws
    them.

    Args:
        data: A batch on the CPU.
        count: How many numbers a sample gets.
    """
    if 'uniform' not in data:
        return torch.rand(len(next(iter(data.values()))), count)
    # Use all 53 bits of the number as a seed.
    seeds = (torch.as_tensor(data['uniform'], dtype=torch.float64) * 2**53).long().tolist()
    rows = [np.random.default_rng(seed).random(count, np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows))
