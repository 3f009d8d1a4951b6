"""Time and resident memory of sampling, compared with the size of weights and caches."""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.decoding import starts
from benchmarks.machine import Machine
from benchmarks.memory import resident_peak
from benchmarks.report import Result
from openmagvit2 import console
from openmagvit2.apis import Generator
from openmagvit2.errors import UserError
from openmagvit2.models.samplers import SubTokenSampler, decode_tokens

# Maximum peak memory, divided by the bytes of weights and caches.
LIMIT = 1.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', default='ar_b_256', help='a generator, with random weights')
    parser.add_argument('--batch-size', type=console.count, default=8)
    parser.add_argument(
        '--guidance', type=float, default=2.0, help='1 samples without the null half'
    )
    parser.add_argument(
        '--steps',
        type=console.count,
        help='positions to decode, with caches of full length; default: all',
    )


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Yield a result on the CPU in float32, which fails if the memory or the number of caches
    exceeds the formula.
    """
    with resident_peak() as memory:
        model = Generator.from_config(args.config).model
        steps = model.num_tokens if args.steps is None else args.steps
        if not 1 <= steps <= model.num_tokens:
            raise UserError(f'--steps must be from 1 to {model.num_tokens}, got {steps}.')
        begin = time.perf_counter()
        with _Allocations() as made:
            _sample(model, args.batch_size, args.guidance, steps)
        seconds = time.perf_counter() - begin
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    rows = args.batch_size * (2 if args.guidance != 1 else 1)
    inner, row_bytes = getattr(model.head, 'blocks', ()), 2 * rows * model.backbone.dim * 4
    formula = row_bytes * (
        len(model.backbone.blocks) * model.num_tokens + len(inner) * len(model.head.vocab_sizes)
    )
    # The system provides memory at the first write: positions that were not decoded are allocated,
    # but not resident.
    unwritten = row_bytes * len(model.backbone.blocks) * (model.num_tokens - steps)
    used = memory['beyond'] + unwritten
    floor, layers = weights + formula, len(model.backbone.blocks) + len(inner)
    notes = [
        f'{steps} of {model.num_tokens} tokens: '
        f'{seconds / steps * model.num_tokens / args.batch_size:.2f} s an image',
        f'weights {weights / 1e6:.0f} MB + caches {formula / 1e6:.0f} MB (2 x layers x rows x '
        f'positions x width) = {floor / 1e6:.0f} MB',
    ]
    if unwritten:
        notes.append(
            f'the caches of the {model.num_tokens - steps} positions that were left out, '
            f'{unwritten / 1e6:.0f} MB, are counted as resident'
        )
    notes += [
        f'peak resident memory beyond that before the model was built: {used / 1e6:.0f} MB, ratio '
        f'{used / floor:.3f}, at most {LIMIT}',
        f'caches allocated: {made.count} (keys and values of {layers} layers)',
    ]
    yield Result(
        f'{args.config}: batch {args.batch_size}, guidance {args.guidance}, {steps} tokens',
        seconds,
        steps * args.batch_size,
        'tokens',
        peak=used,
        notes=notes,
        passed=used <= LIMIT * floor and made.count == 2 * layers,
    )


@torch.no_grad()
def _sample(model: nn.Module, batch: int, guidance: float, steps: int) -> None:
    """Do the same as ``model.generate``, up to a position."""
    sampler, k = SubTokenSampler(guidance=guidance), len(model.head.vocab_sizes)
    random = torch.rand(batch, steps, k, dtype=torch.float64)
    start = starts(model, batch, sampler.guided)
    decode_tokens(
        model.backbone,
        model.head,
        start,
        steps,
        lambda logits, t, i: sampler(logits, i, random[:, t, i]),
    )


class _Allocations(TorchDispatchMode):
    """Counts the tensors that are allocated empty; here only the caches are."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        self.count += func is torch.ops.aten.new_empty.default
        return func(*args, **(kwargs or {}))
