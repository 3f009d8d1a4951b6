"""Training step of a generator on cached tokens: matrix products, waiting for data, and the memory
of a single classifier over the whole codebook.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import Machine, seconds_of, wait_for
from benchmarks.memory import PeakMemory
from benchmarks.report import Result, number
from benchmarks.train_step import optimizers
from openmagvit2 import console
from openmagvit2.apis import Generator
from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.datasets import TokenCache
from openmagvit2.datasets.token_files import FORMAT, HEADER, LABELS, TOKENS, token_dtype
from openmagvit2.models.heads import SingleHead

# Fraction of a step that may be spent waiting for data, and bytes that the single head may take.
MOST_WAIT, MOST_BYTES = 0.02, 1e9
# Number of operations from which a product counts as large.
LARGE = 1e8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', default='ar_b_256', help='a generator, with random weights')
    parser.add_argument('--batch-size', type=console.count, default=1)
    parser.add_argument('--repeats', type=console.count, default=1)
    parser.add_argument(
        '--head-bits', type=console.count, default=18, help='codebook of the single head'
    )
    parser.add_argument('--head-dim', type=console.count, default=1024)
    parser.add_argument(
        '--head-tokens',
        type=console.count,
        default=256,
        help='tokens for the time; the memory is that of 4 images',
    )


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Measure a step of the generator, then loss and memory of the single head, in float32."""
    yield _step(args, machine)
    yield _single_head(args, machine)


def _step(args: argparse.Namespace, machine: Machine) -> Result:
    config = load_config(config_path(args.config))
    model = Generator.from_config(args.config).model.to(machine.device).train()
    for part in model.roles().values():
        part.requires_grad_(True)
    wrapper = optimizers(config, model, 'float32')
    with tempfile.TemporaryDirectory() as folder:
        write_cache(Path(folder), model, (args.repeats + 4) * args.batch_size)
        batches = _batches(folder, args.batch_size, config.train_dataloader.num_workers)

        def step() -> tuple[float, float]:
            """Return the seconds of a step, and how many of them were spent waiting for data."""
            begin = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - begin
            model.train_step(batch, wrapper, iteration=10)
            wait_for(machine.device)
            return time.perf_counter() - begin, waited

        step()
        with PeakMemory() as memory, FlopCounterMode(display=False) as counter:
            step()
        times = [step() for _ in range(args.repeats)]
        rate, share = products(step, machine.device, statistics.median(t for t, _ in times))
        with sdpa_kernel(SDPBackend.MATH):
            plain = step()[0]
    seconds = statistics.median(t for t, _ in times)
    wait = sum(waited for _, waited in times) / sum(t for t, _ in times)
    return Result(
        f'{args.config}, training step on cached tokens, batch {args.batch_size}',
        seconds,
        args.batch_size * model.num_tokens,
        'tokens',
        peak=memory.peak,
        floor=machine.floor(matrix=counter.get_total_flops()),
        floor_of='matrix products',
        plain=plain,
        plain_of='attention as a table of all pairs',
        notes=[
            f'large products: {100 * rate / machine.matrix_rate():.0f} % of the matrix rate, '
            f'{100 * share:.0f} % of the step',
            f'wait for data: {100 * wait:.3f} % of the step',
        ],
        passed=wait < MOST_WAIT,
    )


def _batches(folder: str, batch_size: int, workers: int) -> Iterator[dict]:
    """Yield batches of a token cache, with the config's number of workers if there are as many
    cores.
    """
    workers = min(workers, os.cpu_count() or 1)
    return iter(DataLoader(TokenCache(data_root=folder), batch_size, num_workers=workers))


def write_cache(folder: Path, model: nn.Module, count: int) -> None:
    """Write a token cache of random indices."""
    size = int(np.prod(model.tokenizer.quantizer.codebook_sizes[:1]))
    tokens = np.random.default_rng(0).integers(0, size, (count, 1, *model.token_shape))
    tokens.astype(token_dtype(size)).tofile(folder / TOKENS)
    np.save(folder / LABELS, np.arange(count) % (model.num_classes or 1))
    header = dict(
        format=FORMAT,
        finished=True,
        num_images=count,
        num_views=1,
        grid=list(model.token_shape),
        dtype=token_dtype(size).name,
        codebook_size=size,
        tokenizer=dict(checkpoint=None),
        tokenizer_hash='',
        classes=None,
    )
    (folder / HEADER).write_text(json.dumps(header))


def products(
    step: Callable[[], object], device: torch.device, seconds: float
) -> tuple[float, float]:
    """Measure the rate of a step's large products in operations/s, and their share of its time."""
    kinds = [ProfilerActivity.CPU]
    kinds += [ProfilerActivity.CUDA] * (device.type == 'cuda')
    with profile(activities=kinds, with_flops=True) as found:
        step()
    name = 'self_device_time_total' if device.type == 'cuda' else 'self_cpu_time_total'
    large = [event for event in found.events() if (event.flops or 0) >= LARGE]
    busy = sum(getattr(event, name) for event in large) / 1e6
    return sum(event.flops for event in large) / max(busy, 1e-9), busy / seconds


def _single_head(args: argparse.Namespace, machine: Machine) -> Result:
    def losses(head: nn.Module, x: Tensor, target: Tensor, form: Callable) -> None:
        head.zero_grad(set_to_none=True)
        x.grad = None
        form(head, x, target).backward()

    codes, tokens = 2**args.head_bits, args.head_tokens
    inputs = _head_inputs(codes, args.head_dim, tokens, machine.device)
    seconds, plain = (
        seconds_of(lambda form=form: losses(*inputs, form), machine.device, args.repeats)
        for form in (own_loss, plain_loss)
    )
    # The three products of the plain implementation, plus the logits a second time.
    floor = machine.floor(matrix=3 * 2 * tokens * args.head_dim * codes)
    peaks = [head_bytes(codes, args.head_dim, 4 * tokens, form) for form in (own_loss, plain_loss)]
    return Result(
        f'SingleHead, loss forward and backward, 2^{args.head_bits} codes, {tokens} tokens; memory '
        f'of 4 x {tokens} tokens beyond weights and gradients',
        seconds,
        tokens,
        'tokens',
        peak=peaks[0],
        plain_peak=peaks[1],
        floor=floor,
        floor_of='three products',
        plain=plain,
        plain_of='all logits at once',
        passed=peaks[0] < MOST_BYTES,
        notes=[f'{number(MOST_BYTES / 1e6)} MB are allowed'],
    )


def own_loss(head: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Compute the loss as the package computes it."""
    return head.losses_per_token(x, target).mean()


def plain_loss(head: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Compute the same loss from all logits at once."""
    logits = head.classifiers[0](head.norm(x))
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


def _head_inputs(codes: int, dim: int, tokens: int, device: torch.device) -> tuple[Any, ...]:
    with device:
        head = SingleHead(vocab_sizes=[codes], dim=dim).train()
        x = torch.randn(1, tokens, dim, requires_grad=True)
        return head, x, torch.randint(0, codes, (1, tokens, 1))


def head_bytes(codes: int, dim: int, tokens: int, form: Callable) -> float:
    """Measure the peak bytes of a loss and its backward pass, beyond weights and gradients. Nothing
    is computed: the tensors have shapes only.
    """
    with FakeTensorMode():
        head, x, target = _head_inputs(codes, dim, tokens, torch.device('cpu'))
        # Excludes allocations that are made once and kept, such as tables.
        with PeakMemory() as memory:
            form(head, x, target).backward()
        used = (*(p for p in head.parameters() if p.grad is not None), x)
        return memory.peak - sum(p.numel() * p.element_size() for p in used)
