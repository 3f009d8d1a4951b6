"""Parts too large for any machine are refused in one sentence, before they fill its memory."""

from pathlib import Path

import pytest
import torch
from torch import nn

from openmagvit2 import sizes
from openmagvit2.checkpoint.unfilled import on_meta
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.registry import MODELS

TINY = Path(__file__).parents[1] / 'configs' / 'tiny'
MANY = 10**9
# Counting to the limit takes seconds; one case of each kind is enough for every run.
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ('config', 'key', 'part', 'number'),
    [
        ('lfq_32', 'model.encoder.channels', 'CnnEncoder', 'channels'),
        pytest.param(
            'lfq_32', 'model.encoder.num_res_blocks', 'CnnEncoder', 'num_res_blocks', marks=SLOW
        ),
        ('vq_32', 'model.quantizer.codebook_size', 'VQ', 'codebook_size'),
        ('ar_32', 'model.backbone.dim', 'Llama', 'dim'),
        ('ar_32', 'model.backbone.num_layers', 'Llama', 'num_layers'),
        ('ar_32', 'model.conditioner.num_classes', 'ClassLabel', 'num_classes'),
        ('ar_32', 'model.tokenizer.decoder.channels', 'CnnDecoder', 'channels'),
    ],
)
def test_a_billion_of_anything_names_the_part_and_the_number(config, key, part, number):
    config = load_config(TINY / f'{config}.py', {key: MANY})
    with pytest.raises(UserError, match=rf'^`{part}` .* machine .* number is {number}=\d{{10}}'):
        MODELS.build(config.model)


@pytest.mark.parametrize(
    ('config', 'key'),
    [
        pytest.param('lfq_32', 'model.training.adversarial.discriminator.num_layers', marks=SLOW),
        pytest.param('infinity_32', 'model.quantizer.num_phi', marks=SLOW),
        ('vit_vqgan_32', 'model.decoder.num_layers'),
    ],
)
def test_layers_that_nothing_holds_yet_count(config, key):
    """A list of convolutions has no layer inside until it is whole."""
    model = load_config(TINY / f'{config}.py', {key: MANY}).model
    message = f'layers and tensors.; .*{key.rpartition(".")[2]}=10{{9}}'
    with on_meta(), pytest.raises(UserError, match=message):
        MODELS.build(model)


def test_layers_are_bounded_where_nothing_has_bytes():
    config = load_config(TINY / 'ar_32.py', {'model.backbone.num_layers': MANY})
    with on_meta(), pytest.raises(UserError, match='more than 65536 layers and tensors'):
        MODELS.build(config.model)


def test_weights_of_many_layers_are_counted_together(monkeypatch):
    """Each of them fits; they are counted before they are filled."""
    monkeypatch.setattr(sizes, 'memory', lambda: 1000 * 4)
    with sizes.bounded('`A`', {}):
        nn.Linear(30, 30)
        nn.BatchNorm1d(10)
    with pytest.raises(UserError, match=r'^`A` is .* than 0 GB\); .* number is a\.size=30\.$'):
        with sizes.bounded('`A`', dict(a=dict(size=30), b=[7])):
            nn.Linear(30, 30)
            nn.Linear(30, 30)
    # Nothing is left behind.
    nn.Linear(30, 300)


def test_other_errors_stay_as_they_are():
    for error in (RuntimeError('a shape'), TypeError('a kind'), ValueError('a value')):
        with pytest.raises(type(error), match=str(error)), sizes.bounded('`A`', {}):
            raise error


def test_the_memory_of_this_machine():
    found = sizes.memory()
    assert found is None or torch.tensor(found).log2() > 28


def test_a_memory_that_is_full_while_a_model_runs():
    with pytest.raises(UserError, match=r'^Out of memory \(.*allocate \d+ bytes.*\); do less\.$'):
        with sizes.enough_memory('do less'):
            torch.empty(10**15)
    for error in (RuntimeError('a shape'), OverflowError('a number')):
        with pytest.raises(type(error), match=str(error)), sizes.enough_memory('do less'):
            raise error
