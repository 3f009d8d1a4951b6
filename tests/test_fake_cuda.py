"""Every tiny config on an imitated GPU: no tensor is on another device, and nothing waits.

In torch's fake mode a tensor has a shape and a device, but no numbers: an operation on tensors of
two devices is an error, and so is whatever reads a number (``.item()``, ``if tensor:``), for which
a real card would have to be waited. Gradients need a real card, so there are no backward passes;
metrics count on the CPU, and stay out.
"""

import contextlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake_card import fake_card
from mmengine.config import Config
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from openmagvit2.config import load_config
from openmagvit2.engine.parallel.ddp import counted_step
from openmagvit2.models.layers.codebook import Codebook
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.models.samplers import Finite
from openmagvit2.models.samplers.filters import top_p
from openmagvit2.models.tokenizers import visual_tokenizer
from openmagvit2.registry import MODELS

pytestmark = fake_card
CONFIGS = Path(__file__).parents[1] / 'configs' / 'tiny'
# Those that go the ways of others.
TWINS = ('ar_32_official', 'ar_grouped_32_official', 'lfq_32_official', 'maskgit_32_official')
# Each encoder, paradigm and backbone once.
BUILT = ('vq_32', 'ar_titok_32', 'maskgit_32', 'var_32')


def names(slow: Callable[[str], bool]) -> list:
    found = sorted(path.stem for path in CONFIGS.glob('*.py'))
    return [pytest.param(name, marks=[pytest.mark.slow] * slow(name)) for name in found]


# Every schedule has begun, and penalties of every 2nd or 16th iteration are due.
ITERATION = 160_000
# As on a real card.
NON_BLOCKING = dict(type='ImagePreprocessor', non_blocking=True)
# Of images; a size costs nothing here, but where tokens come one after the other.
SIDE, LEAST = 32, 8


class Forward:
    """Stands for all optimizer wrappers: losses go no further than to their sum."""

    def __getitem__(self, role: str) -> 'Forward':
        return self

    def optim_context(self, handle: nn.Module) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()

    def update_params(self, loss: torch.Tensor) -> None:
        assert loss.device.type == 'cuda' and loss.shape == ()


@pytest.fixture
def card(monkeypatch):
    """The fake card, with the waits taken out that are there by intent."""
    # One look at all logits, after the last token.
    monkeypatch.setattr(Finite, 'check', lambda self: None)
    # Evaluations refuse NaN, which 8 bits would hide; trainings do not look.
    monkeypatch.setattr(QuantizerOutput, 'check_finite', lambda self, what: None)
    monkeypatch.setattr(visual_tokenizer, 'check_decoded', lambda out, what: None)
    # Indices that a user hands in.
    monkeypatch.setattr(BaseQuantizer, 'check_indices', lambda self, indices: indices)
    # What reads labels and random numbers before they go to the card.
    for name in (
        'conditioners.labels.check_labels',
        'conditioners.labels.class_numbers',
        'generators.base.more_uniforms',
    ):
        path = f'openmagvit2.models.{name}'
        monkeypatch.setattr(path, on_the_cpu(pkgutil.resolve_name(path)))
    # Of the right shapes; a gradient needs a real card.
    monkeypatch.setattr(
        torch.autograd, 'grad', lambda loss, x, **_: tree_map(torch.zeros_like, _tuple(x))
    )
    return FakeTensorMode(allow_non_fake_inputs=True)


def on_the_cpu(function: Callable) -> Callable:
    """A function of real tensors."""

    def call(*args, **kwargs):
        with unset_fake_temporarily():
            return function(*args, **kwargs)

    return call


def _tuple(x: object) -> tuple:
    return x if isinstance(x, tuple) else (x,)


def model_config(name: str, **options: object) -> tuple[Config, int]:
    """A config, and the side of its images; of tokens that come one after the other there are four
    or so.
    """
    config = load_config(CONFIGS / f'{name}.py', options)
    if config.model.type != 'AutoregressiveGenerator':
        return config, SIDE
    tokenizer = config.model.tokenizer
    if 'num_tokens' in tokenizer.encoder:
        tokenizer.encoder.num_tokens = tokenizer.decoder.num_tokens = 4
        return config, SIDE
    if 'image_size' in tokenizer.encoder:
        tokenizer.encoder.image_size = tokenizer.decoder.image_size = LEAST
    config.model.image_size = LEAST
    return config, LEAST


def move(model: nn.Module) -> nn.Module:
    """`model.to('cuda')`, which fails on fake parameters; as there, what is neither a parameter nor
    a buffer stays where it is.
    """
    moved: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            there = nn.Parameter(torch.empty_like(parameter, device='cuda'), False)
            there.requires_grad_(parameter.requires_grad)
            setattr(module, name, moved.setdefault(id(parameter), there))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to('cuda'))
        if isinstance(module, Codebook):
            # The first pass of a training waits for the device once: have its rows been set?
            module._may_start = False
    model.data_preprocessor.to('cuda')
    return model


def batch(side: int) -> dict[str, torch.Tensor]:
    return dict(
        image=torch.zeros(2, 3, side, side, dtype=torch.uint8),
        label=torch.tensor([0, 1]),
        uniform=torch.tensor([0.05, 0.9], dtype=torch.float64),
    )


def passes(
    name: str,
    card: FakeTensorMode,
    spoil: Callable[[nn.Module], object] | None = None,
    **options: object,
) -> list[torch.Tensor]:
    """All tensors that come out of the forward passes of a training, a validation and samples."""
    config, side = model_config(name, **options)
    model, data = MODELS.build(config.model), batch(side)
    with card, torch.no_grad():
        move(model)
        if spoil is not None:
            spoil(model)
        found = [
            counted_step(model.train(), data, Forward(), None, ITERATION),
            model.eval().val_step(data),
        ]
        if model.stage == 'generator':
            indices = model.generate([0, 1], dict(config.eval_sampling or {}, top_p=0.9))
            found += [indices, model.decode_indices(indices)]
    return [x for x in tree_leaves(found) if isinstance(x, torch.Tensor)]


class Copies(TorchDispatchMode):
    """Notes copies to the card for which a real one would finish all work before."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        source = next((x for x in reversed(args[:2]) if isinstance(x, torch.Tensor)), None)
        if (
            function.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_)
            and (source.device.type, out.device.type) == ('cpu', 'cuda')
            and not (kwargs.get('non_blocking') or args[2:] == (True,))
        ):
            self.found.append((function, source.shape))
        return out


@pytest.mark.parametrize('name', names(lambda name: name in TWINS))
def test_training_steps_do_not_wait_for_copies(name, card):
    config, side = model_config(name)
    model = MODELS.build(config.model | dict(data_preprocessor=NON_BLOCKING))
    data = batch(side)
    with card, torch.no_grad():
        move(model).train()
        with Copies() as copies:
            for iteration in (0, ITERATION):
                counted_step(model, data, Forward(), None, iteration)
    assert not copies.found


@pytest.mark.parametrize('name', names(lambda name: name in TWINS))
def test_training_validation_and_samples(name, card):
    found = passes(name, card)
    assert len(found) > 2 and {x.device.type for x in found} == {'cuda'}


@pytest.mark.parametrize('name', names(lambda name: name not in BUILT))
def test_built_on_the_card(name, card, monkeypatch):
    # Torch's own look whether it has drawn numbers beyond the borders.
    monkeypatch.setattr(nn.init, 'trunc_normal_', lambda tensor, *args, **_: tensor)
    # Rates of a backbone's layers are read on the CPU.
    monkeypatch.setattr(torch, 'linspace', on_the_cpu(torch.linspace))
    with card, torch.device('cuda'):
        model = MODELS.build(model_config(name)[0].model)
        tensors = [*model.parameters(), *model.buffers()]
        assert tensors and {x.device.type for x in tensors} == {'cuda'}


# What no tiny config has.
GAME = dict(
    type='Adversarial',
    discriminator=dict(type='BlurPatchGAN', channels=32, num_stages=2),
    weight=dict(type='AdaptiveWeight'),
    regularizers=[dict(type='R1', interval=16), dict(type='LeCAM', of='mean')],
    first='discriminator',
)
AVERAGES = dict(ema_decay=0.9, ema_smoothing=1e-5, restart_after=None, restart_below=0.5)
MORE = {
    'game': ('lfq_32', {'model.training.adversarial': GAME}),
    'averages': ('vq_32', {f'model.quantizer.{key}': value for key, value in AVERAGES.items()}),
    'entropy': ('vq_32', {'model.quantizer.entropy': True}),
}


@pytest.mark.parametrize('kind', MORE)
def test_parts_that_no_tiny_config_has(kind, card):
    name, options = MORE[kind]
    assert {x.device.type for x in passes(name, card, **options)} == {'cuda'}


def test_top_p_of_a_large_vocabulary(card):
    with card:
        logits = torch.zeros(2, 20_000, device='cuda')
        assert top_p(logits, 0.9).device.type == 'cuda'


# ---- what must not pass ------------------------------------------------------------------------
def _mask_on_the_cpu(model: nn.Module) -> None:
    weight = torch.ones(3, 1, 1)
    model.recipe.losses['reconstruction'].forward = lambda a, b: ((a - b) * weight).abs().mean()


def _read_in_the_loss(model: nn.Module) -> None:
    loss = model.recipe.adversarial.generator_loss
    model.recipe.adversarial.generator_loss = lambda logits: loss(logits) * logits.mean().item()


def _read_in_the_head(model: nn.Module) -> None:
    sample = model.head.sample
    model.head.sample = lambda context, *args, **given: sample(
        context / max(context.amax().item(), 1), *args, **given
    )


def _branch_in_the_penalty(model: nn.Module) -> None:
    forward = model.lecam.forward
    model.lecam.forward = lambda real, fake: forward(real, fake) if real.mean() > 0 else None


def _table_that_does_not_move(model: nn.Module) -> None:
    table = torch.zeros(len(model.head.vocab_sizes), 1, 8)
    losses = model.losses
    model.losses = lambda sub, *args, **given: losses(sub + table[..., 0, 0].long(), *args, **given)


@pytest.mark.parametrize(
    ('name', 'spoil', 'error'),
    [
        ('lfq_32', _mask_on_the_cpu, 'cpu'),
        ('lfq_32', _read_in_the_loss, '_local_scalar_dense'),
        ('lfq_32', _branch_in_the_penalty, '_local_scalar_dense'),
        ('ar_32', _read_in_the_head, '_local_scalar_dense'),
        ('var_32', _read_in_the_head, '_local_scalar_dense'),
        ('maskgit_32', _table_that_does_not_move, 'cpu'),
    ],
)
def test_planted_faults(name, spoil, error, card):
    with pytest.raises((RuntimeError, DataDependentOutputException), match=error):
        passes(name, card, spoil)
