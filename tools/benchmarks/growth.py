"""Growth of cost: the LFQ loss with bits, a tokenizer with image size, decoding with batch size,
and a backbone with sequence length; also as a figure.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.decoding import token_seconds
from benchmarks.machine import Machine, seconds_of
from benchmarks.report import Result
from openmagvit2 import console
from openmagvit2.apis import Generator, init_model
from openmagvit2.models.layers.decoding_weights import chosen
from openmagvit2.models.quantizers import LFQ

TOKENS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument(
        '--bits', type=console.count, nargs='+', default=[8, 10, 12, 14, 16, 18, 20]
    )
    parser.add_argument('--tokenizer', default='lfq_128', help='a config, with random weights')
    parser.add_argument('--sizes', type=console.count, nargs='+', default=[32, 64, 96, 128])
    parser.add_argument('--generator', default='ar_b_256', help='a config, with random weights')
    parser.add_argument('--batch-sizes', type=console.count, nargs='+', default=[1, 2, 4, 8, 16])
    parser.add_argument('--lengths', type=console.count, nargs='+', default=[16, 32, 64, 128, 256])
    parser.add_argument('--repeats', type=console.count, default=1)
    parser.add_argument('--plot', type=Path, help='file of a figure, such as growth.svg')


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Yield one result per point, series by series, then write the figure."""
    generator = Generator.from_config(args.generator).model.to(machine.device)
    panels = []
    network = f'of {args.generator}'
    for name, values, seconds in (
        ('bits of LFQ, 256 tokens', args.bits, lambda bits: _loss(bits, machine, args.repeats)),
        (f'pixels of a side, {args.tokenizer}', args.sizes, _reconstruction(args, machine)),
        (
            f'images, one position {network}',
            args.batch_sizes,
            lambda batch: _position(generator, batch),
        ),
        (
            f'positions, one pass {network}',
            args.lengths,
            lambda n: _backbone(generator, n, machine, args.repeats),
        ),
    ):
        times = []
        for value in values:
            times.append(seconds(value))
            yield Result(f'{name}: {value}', times[-1])
        panels.append((name, values, times))
    if args.plot:
        plot(panels, args.plot)


def _loss(bits: int, machine: Machine, repeats: int) -> float:
    """Return the seconds of the loss on 256 tokens, forward and backward."""
    lfq = LFQ(num_bits=bits).to(machine.device)
    z = torch.randn(1, bits, TOKENS, device=machine.device, requires_grad=True)
    return seconds_of(lambda: sum(lfq(z).losses.values()).backward(), machine.device, repeats)


def _reconstruction(args: argparse.Namespace, machine: Machine):
    """Return a function from the side of an image to the seconds of encoding and decoding it."""
    model = init_model(args.tokenizer, device=machine.device)

    @torch.no_grad()
    def seconds(side: int) -> float:
        image = torch.rand(1, 3, side, side, device=machine.device) * 2 - 1
        return seconds_of(lambda: model.reconstruct(image), machine.device, args.repeats)

    return seconds


def _position(model: torch.nn.Module, batch: int) -> float:
    """Return the seconds of decoding one position of a batch, with guidance."""
    return token_seconds(model, batch, 4, chosen('auto', model.backbone, model.head))


@torch.no_grad()
def _backbone(model: torch.nn.Module, length: int, machine: Machine, repeats: int) -> float:
    """Return the seconds of a forward pass over a sequence."""
    x = torch.randn(1, length, model.backbone.dim, device=machine.device)
    return seconds_of(lambda: model.backbone(x), machine.device, repeats)


def plot(panels: Sequence[tuple[str, Sequence[int], Sequence[float]]], path: Path) -> None:
    """Plot the seconds of each series; all axes except that of bits are logarithmic."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator

    figure, axes = plt.subplots(1, len(panels), figsize=(3.2 * len(panels), 2.8), squeeze=False)
    for axis, (name, values, times) in zip(axes[0], panels, strict=True):
        axis.plot(values, times, 'o-')
        axis.set(xlabel=name, yscale='log', xscale='linear' if 'bits' in name else 'log')
        axis.set_xticks(values, [str(value) for value in values], minor=False)
        axis.minorticks_off()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel('seconds')
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
