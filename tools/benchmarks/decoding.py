"""Time per token of an autoregressive generator for each form of its weights, compared with the
floor and a plain loop; acceptance of Jacobi decoding.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.report import Result
from openmagvit2 import console
from openmagvit2.apis import Generator
from openmagvit2.models.layers.decoding_weights import chosen, for_decoding
from openmagvit2.models.samplers import SubTokenSampler, decode_jacobi, decode_tokens

GUIDANCE = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', default='ar_b_256', help='a generator, with random weights')
    parser.add_argument('--batch-sizes', type=console.count, nargs='+', default=[1, 8, 32])
    parser.add_argument('--steps', type=console.count, default=8, help='positions to decode')
    parser.add_argument('--window', type=console.count, default=8, help='window of Jacobi decoding')


def measure(args: argparse.Namespace, machine: Any) -> Iterator[Any]:
    """Yield a result for each batch size and form of the weights, then one of Jacobi decoding."""
    model = Generator.from_config(args.config).model.to(machine.device)
    steps = min(args.steps, model.num_tokens)
    count = weights_read(model)
    half = None
    if machine.matrix_rate(torch.bfloat16) > machine.matrix_rate():
        half = copy.deepcopy(model).to(torch.bfloat16)
    for batch in args.batch_sizes:
        plain = plain_seconds(model, batch, max(steps // 2, 3))
        for name, form, weights in forms(model, half):
            dtype = next(form.parameters()).dtype
            yield Result(
                f'{args.config}, one position, batch {batch}, guidance, {name}',
                token_seconds(form, batch, steps, weights),
                batch,
                'tokens',
                floor=machine.floor(
                    matrix=2.0 * count * 2 * batch, read=float(dtype.itemsize * count), dtype=dtype
                ),
                floor_of=f'{dtype} weights read once, or their products',
                plain=plain,
                plain_of='float32, two passes for guidance, caches concatenated at each position',
            )
    seconds, counts = jacobi_seconds(model, model.num_tokens if steps < 8 else steps, args.window)
    yield Result(
        f'{args.config}, one position by Jacobi decoding, batch 1, window {args.window}',
        seconds,
        1,
        'tokens',
        notes=[f'{statistics.mean(counts):.2f} positions accepted a pass, {len(counts)} passes'],
    )


def forms(model: nn.Module, half: nn.Module | None) -> Iterator[tuple[str, nn.Module, str]]:
    """Yield the cases: a name, the model, and its setting of ``sampling.weights``."""
    auto = chosen('auto', model.backbone, model.head)
    for weights in dict.fromkeys(('plain', auto, 'int8')):
        yield f'weights {weights}', model, weights
    if half is not None:
        auto = chosen('auto', half.backbone, half.head)
        for weights in dict.fromkeys(('plain', auto)):
            yield f'bfloat16, weights {weights}', half, weights


def weights_read(model: nn.Module) -> int:
    """Count the weights that decoding one position reads; the head's blocks count once per
    sub-token.
    """

    def size(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    inner = size(model.head.blocks) if 'blocks' in dict(model.head.named_children()) else 0
    sub_tokens = len(model.head.vocab_sizes)
    return size(model.backbone.blocks) + sub_tokens * inner + size(model.head.classifiers)


def starts(model: nn.Module, batch: int, guided: bool = True) -> Tensor:
    """Return the prefix rows (2 * batch, P, dim), whose second half is the null condition; without
    guidance, (batch, P, dim).
    """
    labels = [i % (model.num_classes or 1) for i in range(batch)]
    condition, _ = model.conditioner.requests(labels)
    halves = [condition, model.conditioner.null(batch)] if guided else [condition]
    device = next(model.backbone.parameters()).device
    rows = {name: torch.cat([half[name] for half in halves]).to(device) for name in condition}
    return model.embed(rows)[0]


@torch.no_grad()
def token_seconds(model: nn.Module, batch: int, steps: int, weights: str) -> float:
    """Return the median seconds per position, except the first."""
    backbone, head = for_decoding(model.backbone, weights), for_decoding(model.head, weights)
    start, sampler = starts(model, batch), SubTokenSampler(guidance=GUIDANCE)
    random = torch.rand(batch, steps, len(head.vocab_sizes), dtype=torch.float64)
    marks: list[float] = []

    def draw(logits: Tensor, t: int, i: int) -> Tensor:
        if i == 0:
            marks.append(time.perf_counter())
        return sampler(logits, i, random[:, t, i])

    decode_tokens(backbone, head, start, steps, draw, **model.rows())
    return statistics.median(b - a for a, b in zip(marks[1:], marks[2:], strict=False))


@torch.no_grad()
def plain_seconds(model: nn.Module, batch: int, steps: int) -> float:
    """Return the same for a plain loop: one pass per half, and caches that are concatenated at each
    position.
    """
    head, sampler = model.head, SubTokenSampler(guidance=GUIDANCE)
    halves = starts(model, batch).chunk(2)
    caches: list[list[Any]] = [[_Joined() for _ in model.backbone.blocks] for _ in halves]
    random = torch.rand(batch, steps, len(head.vocab_sizes), dtype=torch.float64)
    marks, inputs = [time.perf_counter()], list(halves)
    for t in range(steps):
        contexts = [
            model.backbone(x, cache=cache)[:, -1:] for x, cache in zip(inputs, caches, strict=True)
        ]
        tokens = head.sample(
            torch.cat(contexts),
            lambda logits, i: sampler(logits[:, 0], i, random[:, t, i])[:, None],  # noqa: B023
            **model.rows(),
        )
        inputs = [head.embed(tokens, **model.rows())] * 2
        marks.append(time.perf_counter())
    return statistics.median(b - a for a, b in zip(marks[1:], marks[2:], strict=False))


@torch.no_grad()
def jacobi_seconds(model: nn.Module, steps: int, window: int) -> tuple[float, list[int]]:
    """Return the seconds per position for one image, and how many positions each pass accepted."""
    form = chosen('auto', model.backbone, model.head)
    backbone, head = for_decoding(model.backbone, form), for_decoding(model.head, form)
    sampler = SubTokenSampler(guidance=GUIDANCE, decoding='jacobi', window=window)
    random = torch.rand(1, steps, len(head.vocab_sizes), dtype=torch.float64)
    start = starts(model, 1)
    # The first run packs the weights.
    for _ in range(2):
        counts: list[int] = []
        begin = time.perf_counter()
        decode_jacobi(backbone, head, start, steps, sampler, random, counts=counts, **model.rows())
    return (time.perf_counter() - begin) / steps, counts


class _Joined:
    """A cache that allocates nothing in advance: it concatenates at each position."""

    filled = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        if self.filled:
            keys = torch.cat([self.keys, keys], 2)
            values = torch.cat([self.values, values], 2)
        self.keys, self.values, self.filled = keys, values, keys.shape[2]
        return keys, values
