"""Time and resident memory of sampling with caches, beside the memory that weights and caches must take."""

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from openmagvit2.apis import Generator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument('--config', default='ar_b_256', help='a generator, with random weights')
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--guidance', type=float, default=2.0, help='1 runs without the null half')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())


def run(args: argparse.Namespace) -> int:
    """Print figures; CPU memory, float32."""
    torch.set_num_threads(args.threads)
    before = _resident()
    generator = Generator.from_config(args.config)
    model = generator.model
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    rows = args.batch_size * (2 if args.guidance != 1 else 1)
    begin = time.perf_counter()
    with _Allocations() as made:
        generator.sample_indices([i % model.num_classes for i in range(args.batch_size)], guidance=args.guidance)
    seconds = time.perf_counter() - begin
    inner = getattr(model.head, 'blocks', ())
    formula = 2 * rows * model.backbone.dim * 4 * (len(model.backbone.blocks) * model.num_tokens + len(inner) * len(model.head.vocab_sizes))
    used, floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before, weights + formula
    print(f'{args.config}: batch {args.batch_size}, guidance {args.guidance}, {model.num_tokens} tokens, float32, {args.threads} thread(s)')
    print(f'{seconds:.1f} s, {seconds / model.num_tokens:.3f} s a token of the whole batch, {seconds / args.batch_size:.2f} s an image')
    print(f'weights {weights / 1e6:.0f} MB + caches {formula / 1e6:.0f} MB (2 x layers x rows x positions x width) = {floor / 1e6:.0f} MB')
    print(f'peak resident memory beyond that before the model was built: {used / 1e6:.0f} MB, ratio {used / floor:.3f}')
    print(f'caches allocated: {made.count} (keys and values of {len(model.backbone.blocks) + len(inner)} layers)')
    return 0


class _Allocations(TorchDispatchMode):
    """Counts the tensors that are made empty, as the caches are and nothing else here is."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self.count += func is torch.ops.aten.new_empty.default
        return func(*args, **(kwargs or {}))


def _resident() -> int:
    """Bytes of this process in memory now (Linux)."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
