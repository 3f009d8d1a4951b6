"""Training step of a tokenizer with its discriminator, compared with a step that reconstructs once
per optimizer with plain operations, and computes the entropy of LFQ over all codes.
"""

import argparse
import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch

from benchmarks.lfq import dense_entropies
from benchmarks.machine import Machine
from benchmarks.memory import timed, timed_by_default
from benchmarks.report import Result
from benchmarks.tokenizer import plain_networks
from openmagvit2 import console
from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.models.quantizers import LFQ


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', default='lfq_128', help='a tokenizer, with random weights')
    parser.add_argument('--size', type=console.count, default=128)
    parser.add_argument('--batch-size', type=console.count, default=2)
    parser.add_argument('--repeats', type=console.count, default=1)


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Yield one result in float32, and another one if the device is faster in bfloat16."""
    from openmagvit2.registry import MODELS

    config = load_config(config_path(args.config))
    # Its weights may not be available.
    config.model.training.losses.pop('perceptual', None)
    config.model.training.adversarial.start = 0
    model = MODELS.build(config.model).to(machine.device).train()
    shape = (args.batch_size, 3, args.size, args.size)
    data = dict(image=torch.randint(0, 256, shape, dtype=torch.uint8))
    name = (
        f'{args.config}, training step, batch {args.batch_size}, {args.size} pixels, without a '
        f'perceptual network'
    )
    types = ['float32']
    if machine.convolution_rate(torch.bfloat16) > machine.convolution_rate():
        types.append('bfloat16')
    plain = None
    for dtype in types:
        wrapper = optimizers(config, model, dtype)

        def step(wrapper: Any = wrapper) -> None:
            model.train_step(data, wrapper, iteration=10)

        if plain is None:
            with plain_networks(), dense_entropy(), twice(model, data):
                plain = timed_by_default(step, machine, args.repeats)
        seconds, peak = timed(step, machine, args.repeats)
        yield Result(
            f'{name}, {dtype}',
            seconds,
            args.batch_size,
            'images',
            peak=peak,
            plain=plain[0],
            plain_peak=plain[1],
            plain_of=(
                'float32, a reconstruction for each optimizer, softmax over all codes, '
                'x * sigmoid(x), default glibc settings'
            ),
        )


def optimizers(config: Any, model: torch.nn.Module, dtype: str) -> Any:
    """Return the optimizers of a config for its model, in the given compute type."""
    from openmagvit2.registry import OPTIM_WRAPPER_CONSTRUCTORS

    settings = {k: v for k, v in config.optim_wrapper.items() if k != 'constructor'}
    build = dict(type=config.optim_wrapper['constructor'])
    return OPTIM_WRAPPER_CONSTRUCTORS.build(
        build | dict(optim_wrapper_cfg=settings | dict(dtype=dtype))
    )(model)


@contextlib.contextmanager
def dense_entropy() -> Iterator[None]:
    """Compute the entropy of an LFQ without groups by its definition."""
    factorized = LFQ.entropies

    def entropies(self: LFQ, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.entropy_groups > 1 or self.spherical or self.entropy_sync:
            return factorized(self, x)
        return dense_entropies(x, self.temperature, self.entropy_eps)

    with mock.patch.object(LFQ, 'entropies', entropies):
        yield


@contextlib.contextmanager
def twice(model: Any, data: dict) -> Iterator[None]:
    """Make the discriminator's step compute its own reconstruction, with its graph, like loops with
    an optimizer index.
    """
    own = model.discriminator_step

    def step(game: Any, wrapper: Any, handles: Any, image: Any, fake: Any, iteration: int) -> dict:
        out, _ = handles['autoencoder'](image)
        fake = model.pixels.to_image(out).detach()
        log = own(game, wrapper, handles, image, fake, iteration)
        del out
        return log

    with mock.patch.object(model, 'discriminator_step', step):
        yield
