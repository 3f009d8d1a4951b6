"""Time and peak memory of the LFQ losses, forward and backward, by bits and tokens, compared with
the dense definition if it fits in memory; then those of IBQ.
"""

import argparse
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.ibq import measure_ibq
from benchmarks.machine import Machine, seconds_of
from benchmarks.memory import PeakMemory, memory_by_default
from benchmarks.report import Result
from openmagvit2 import console
from openmagvit2.models.quantizers import LFQ

# Bits and tokens: the paper's codebook first, then more tokens, then more codes.
SIZES = ((18, 256), (18, 1024), (18, 4096), (18, 16384), (18, 65536), (10, 1024), (24, 256))


def dense_entropies(x: Tensor, temperature: float, eps: float) -> tuple[Tensor, Tensor]:
    """Return the per-sample and the codebook entropy of (M, bits) by definition, with tables of
    M x 2^bits numbers (docs/reference/specification.md, Lookup-free quantization) and the
    operations of the official code.
    """
    bits = x.shape[1]
    table = (
        torch.arange(2**bits, device=x.device)[:, None] >> torch.arange(bits, device=x.device) & 1
    ) * 2.0 - 1
    logits = 2 * torch.einsum('md,kd->mk', x, table.to(x))
    p = (logits / temperature).softmax(-1)
    log_p = (logits / temperature + eps).log_softmax(-1)
    mean = p.mean(0)
    return -(p * log_p).sum(-1).mean(), -(mean * (mean + eps).log()).sum()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument(
        '--bits', type=console.count, nargs='+', help='with --tokens, all pairs are measured'
    )
    parser.add_argument('--tokens', type=console.count, nargs='+')
    parser.add_argument('--repeats', type=console.count, default=9)
    parser.add_argument(
        '--dense-limit',
        type=float,
        default=0.5,
        help='maximum GB of a table of the dense form, which has several',
    )


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Yield one result for each number of bits and tokens."""
    sizes = SIZES
    if args.bits or args.tokens:
        sizes = tuple((b, t) for b in args.bits or [18] for t in args.tokens or [1024])
    for bits, tokens in sizes:
        z = torch.randn(1, bits, tokens, device=machine.device, requires_grad=True)
        lfq = LFQ(num_bits=bits).to(machine.device)
        found = _measure(lambda lfq=lfq, z=z: sum(lfq(z).losses.values()), args.repeats, z)
        # The product of the tables of both halves, once forward and twice backward.
        floor = machine.floor(matrix=3 * 2 * tokens * 2**bits)
        result = Result(
            f'LFQ loss, forward and backward, 2^{bits} codes, {tokens} tokens',
            found[0],
            tokens,
            'tokens',
            peak=found[1],
            floor=floor,
            floor_of='matrix products',
        )
        if tokens * 2**bits * 4 <= args.dense_limit * 1e9:
            with memory_by_default():
                result.plain, result.plain_peak = _measure(lambda z=z: _dense_loss(z), 1, z)
            result.plain_of = (
                'softmax over all codes, like the official code, default glibc settings'
            )
        yield result
    if sizes is SIZES:
        yield from measure_ibq(2**18, 256, 256, machine)


def _dense_loss(z: Tensor) -> Tensor:
    per_sample, codebook = dense_entropies(z[0].T, 0.01, 1e-5)
    return per_sample - codebook + (z - z.detach().sign()).square().mean()


def _measure(loss: Callable[[], Tensor], repeats: int, z: Tensor) -> tuple[float, float]:
    """Return the median seconds and the peak bytes, including gradients."""

    def step() -> None:
        z.grad = None
        loss().backward()

    seconds = seconds_of(step, z.device, repeats)
    z.grad = None
    with PeakMemory() as memory:
        loss().backward()
    z.grad = None
    return seconds, memory.peak
