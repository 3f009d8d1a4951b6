"""Time and peak memory of the LFQ losses, forward and backward, by bits and tokens, beside the
dense definition where that fits.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.memory import PeakMemory
from openmagvit2.models.quantizers import LFQ


def dense_entropies(x: Tensor, temperature: float, eps: float) -> tuple[Tensor, Tensor]:
    """Per-sample and codebook entropy of (M, bits) by the definition, with tables of M x 2^bits
    numbers (docs/reference/specification.md, Lookup-free quantization).
    """
    bits = x.shape[1]
    table = (
        torch.arange(2**bits, device=x.device)[:, None] >> torch.arange(bits, device=x.device) & 1
    ) * 2.0 - 1
    logits = 2 * x @ table.to(x).T / temperature
    p = logits.softmax(-1)
    mean = p.mean(0)
    return -(p * logits.log_softmax(-1)).sum(-1).mean(), -(mean * (mean + eps).log()).sum()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--bits', type=int, nargs='+', default=[10, 14, 18, 20, 24])
    parser.add_argument('--tokens', type=int, nargs='+', default=[1024, 4096])
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--dense-limit',
        type=float,
        default=2.0,
        help='GB that one table of the dense form may take',
    )


def run(args: argparse.Namespace) -> int:
    """Print a table."""
    torch.set_num_threads(args.threads)
    print(
        f'{args.device}, {args.threads} thread(s), float32, median of {args.repeats}; memory '
        f'beyond the input, gradients included'
    )
    print(f'{"bits":>4} {"tokens":>7} {"ours s":>9} {"ours MB":>9} {"dense s":>9} {"dense MB":>9}')
    for bits in args.bits:
        for tokens in args.tokens:
            z = torch.randn(1, bits, tokens, device=args.device, requires_grad=True)
            lfq = LFQ(num_bits=bits)
            ours = _measure(lambda lfq=lfq, z=z: sum(lfq(z).losses.values()), args.repeats, z)
            dense: tuple[float, ...] = ()
            if tokens * 2**bits * 4 <= args.dense_limit * 1e9:
                dense = _measure(lambda z=z: _dense_loss(z), 2, z)
            # A table of the dense form stands several times over.
            cells = [f'{value:9.4g}' for value in (*ours, *dense)] + [f'{"-":>9}'] * (
                2 - len(dense)
            )
            print(f'{bits:4d} {tokens:7d} {" ".join(cells)}')
    return 0


def _dense_loss(z: Tensor) -> Tensor:
    per_sample, codebook = dense_entropies(z[0].T, 0.01, 1e-5)
    return per_sample - codebook + (z - z.detach().sign()).square().mean()


def _measure(loss: Callable[[], Tensor], repeats: int, z: Tensor) -> tuple[float, float]:
    """Median seconds and peak MB."""
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        loss().backward()
        if z.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
        z.grad = None
    with PeakMemory() as memory:
        loss().backward()
    z.grad = None
    return statistics.median(seconds[1:]), memory.peak / 1e6
