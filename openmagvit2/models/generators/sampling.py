"""Sampling from a generator: checks, random numbers, guidance."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.dtypes import uniform_to
from openmagvit2.errors import UserError
from openmagvit2.models.conditioners.labels import Labels
from openmagvit2.models.generators.assembly import Assembly
from openmagvit2.models.samplers import SubTokenSampler, build_sampler, uniforms

# Sampling settings as users pass them; None selects the defaults.
Settings = dict | SubTokenSampler | None
# With fewer rows, matrix products round differently, and a draw near a boundary may choose another
# token.
LEAST_ROWS = 4
# A network with this many parameters keeps a CPU busy with one image.
LARGE = 2**23


class Sampling(Assembly):
    """Sampling code of all generators; a paradigm adds :meth:`decode`."""

    # Supported values of `sampling.decoding`.
    decodings: tuple[str, ...] = ('sequential',)

    def decode(
        self, condition: dict[str, Tensor], sampler: SubTokenSampler, random: Tensor
    ) -> Tensor:
        """Sample the sub-tokens of images.

        Args:
            condition: Data of the conditioner for B images; with guidance for 2B, of which the
                second half is the null condition.
            sampler: Draws sub-tokens from logits.
            random: Uniform numbers (B, *draw_shape(sampler)) in [0, 1).

        Returns:
            int64 (B, T, k), in raster order.
        """
        raise NotImplementedError

    def least_rows(self, sampler: SubTokenSampler) -> int:
        """Return the minimum batch size; smaller batches are padded, so that an image gets the same
        tokens in any batch.
        """
        return 1 if self.one_by_one else LEAST_ROWS

    @property
    def one_by_one(self) -> bool:
        """Whether images are decoded one at a time."""
        return False

    def draw_shape(self, sampler: SubTokenSampler) -> tuple[int, ...]:
        """Return the shape of the uniform numbers that an image needs."""
        return self.num_tokens, len(self.head.vocab_sizes)

    @torch.no_grad()
    def generate(
        self,
        labels: Labels,
        sampling: Settings = None,
        seed: int = 0,
        numbers: Sequence[int] | None = None,
    ) -> Tensor:
        """Sample indices of images; seed, class and number determine a sample's tokens, whatever
        the batch.

        Rounding may depend on the batch size: a uniform number within about 1e-6 of the boundary
        between two tokens may still select the other one.

        Args:
            labels: Conditions of B images in the conditioner's format: a list, array or tensor of
                integers, classes from 0; -1 or ``num_classes`` is the null class.
            sampling: Settings of :class:`SubTokenSampler`, or of the class that ``type`` names.
            seed: Random seed for sampling, a non-negative integer.
            numbers: Number of each sample within its class; by default, samples of a class are
                counted from 0 in the order of ``labels``.

        Returns:
            int64 (B, *token_shape).

        Raises:
            UserError: A label, the seed or a setting is out of range; the logits are not finite.
        """
        sampler = self.check(labels, sampling, seed)
        return self.merge(self.decoded(self.decode, labels, sampler, seed, numbers))

    def decoded(
        self,
        decode: Callable[[dict[str, Tensor], SubTokenSampler, Tensor], Tensor],
        labels: Labels,
        sampler: SubTokenSampler,
        seed: int,
        numbers: Sequence[int] | None,
    ) -> Tensor:
        """Return the result (B, …) of ``decode``, a function like :meth:`decode`, for a request."""
        condition, random, count = self.request(labels, sampler, seed, numbers)
        if not self.one_by_one:
            return decode(condition, sampler, random)[:count]
        parts = []
        for i in range(count):
            # With guidance, also the image's null condition.
            own = {name: value[i::count] for name, value in condition.items()}
            parts.append(decode(own, sampler, random[i : i + 1]))
        return torch.cat(parts)

    @torch.no_grad()
    def images(
        self,
        labels: Labels,
        sampling: Settings = None,
        seed: int = 0,
        numbers: Sequence[int] | None = None,
    ) -> Tensor:
        """Sample images (B, 3, H, W), clamped to [-1, 1]; see :meth:`generate`."""
        return self.decode_indices(self.generate(labels, sampling, seed, numbers))

    def request(
        self,
        labels: Labels,
        sampler: SubTokenSampler,
        seed: int,
        numbers: Sequence[int] | None,
    ) -> tuple[dict[str, Tensor], Tensor, int]:
        """Return the arguments of :meth:`decode`, padded to :meth:`least_rows`: data of the
        conditioner and uniform numbers; and the number of requested images.
        """
        condition, keys = self.conditioner.requests(labels)
        numbers, count = _numbers(keys, numbers), len(keys)
        filled = [*range(count), *[count - 1] * max(self.least_rows(sampler) - count, 0)]
        random = uniforms(
            seed, [keys[i] for i in filled], [numbers[i] for i in filled], *self.draw_shape(sampler)
        )
        device = next(self.backbone.parameters()).device
        condition = {name: value[filled].to(device) for name, value in condition.items()}
        if sampler.guided:
            null = self.conditioner.null(len(filled)) or {}
            condition = {name: torch.cat([x, null[name]]) for name, x in condition.items()}
        return condition, uniform_to(random, device), count

    def check(
        self,
        labels: Labels,
        sampling: Settings = None,
        seed: int = 0,
        once: bool = False,
    ) -> SubTokenSampler:
        """Check a request and return its sampler.

        Args:
            labels, sampling, seed: See :meth:`generate`.
            once: Whether each label may occur only once.

        Raises:
            UserError: A label, the seed or a setting is out of range, or a setting has another
                number of values than there are sub-tokens.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise UserError(f'seed must be an integer ≥ 0, got {seed!r}.')
        _, keys = self.conditioner.requests(labels)
        twice = next((key for key, count in Counter(keys).items() if count > 1), None)
        if once and twice is not None:
            raise UserError(
                f'labels: class {twice} occurs more than once, and would give the same '
                f'images again.'
            )
        sampler = sampling if callable(sampling) else build_sampler(sampling or {})
        sampler.check(len(self.head.vocab_sizes))
        decoding = decoding_of(sampler)
        if decoding not in self.decodings:
            raise UserError(
                f'sampling.decoding={decoding!r}: {type(self).__name__} supports '
                f'{", ".join(self.decodings)}.'
            )
        if sampler.guided and self.conditioner.null(1) is None:
            raise UserError(
                f'sampling.guidance must be 1: {type(self.conditioner).__name__} has no null '
                f'condition to guide away from (in a config: eval_sampling.guidance=1).'
            )
        return sampler

    @torch.no_grad()
    def decode_indices(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *token_shape) to images (B, 3, H, W), resized to ``output_size`` if given
        and clamped to [-1, 1].

        As in :meth:`generate`, images are decoded one at a time or in padded batches, so that their
        pixels do not depend on the batch.
        """
        if keeps_a_cpu_busy(self.tokenizer.decoder):
            images = torch.cat([self.tokenizer.decode_indices(one) for one in indices.split(1)])
        else:
            missing = max(LEAST_ROWS - len(indices), 0)
            last = indices[-1:].repeat(missing, *[1] * (indices.dim() - 1))
            images = self.tokenizer.decode_indices(torch.cat([indices, last]))
        images = images.float()
        if self.output_size is not None:
            images = F.interpolate(images, tuple(self.output_size), mode='bicubic')
        return images[: len(indices)].clamp(-1, 1)


def keeps_a_cpu_busy(network: nn.Module) -> bool:
    """Return whether a network is on the CPU and large enough to process images one at a time.

    This is as fast as a batch and gives the same bits in any batch without padding.
    """
    parameters = list(network.parameters())
    on_cpu = bool(parameters) and parameters[0].device.type == 'cpu'
    return on_cpu and sum(p.numel() for p in parameters) >= LARGE


def decoding_of(sampler: SubTokenSampler) -> str:
    """Return a sampler's ``decoding``; a plain function that draws tokens has none."""
    return getattr(sampler, 'decoding', 'sequential')


def _numbers(keys: list[int], numbers: Sequence[int] | None) -> list[int]:
    """Return the number of each sample within its condition."""
    if numbers is None:
        return [keys[:i].count(key) for i, key in enumerate(keys)]
    found = numbers.tolist() if isinstance(numbers, (Tensor, np.ndarray)) else list(numbers)
    whole = all(isinstance(x, (int, np.integer)) and x >= 0 for x in found)
    if len(found) != len(keys) or not whole:
        raise UserError(f'numbers must be {len(keys)} integers ≥ 0, one per label, got {found}.')
    return found
