"""Values of a model's config that torch would reject only at the first step, or ignore."""

from pathlib import Path

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.models.discriminators import PatchGAN
from openmagvit2.models.losses.codes import CodeCrossEntropy

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'
GAME = 'training.adversarial.discriminator'


@pytest.mark.parametrize(
    ('name', 'key', 'value', 'message'),
    [
        ('lfq_32', 'encoder.out_channels', 2, 'follows from the other parts, and is 8'),
        ('lfq_32', 'decoder.in_channels', 2, 'follows from the other parts, and is 8'),
        ('lfq_32', 'decoder.out_channels', 2, 'follows from the other parts, and is 3'),
        ('titok_stage1_32', 'decoder.out_channels', 2, 'follows from the other parts, and is 256'),
        ('lfq_32', 'pad_value', 2, 'must be a number from -1 to 1, got 2'),
        ('lfq_32', 'quantizer.temperature', 0, 'must be a number from 1e-6 to 1e6, got 0'),
        ('lfq_32', 'quantizer.temperature', -1, 'must be a number from 1e-6 to 1e6, got -1'),
        ('lfq_32', 'quantizer.entropy_weights', [], r'must be two numbers, got \[\]'),
        ('lfq_32', 'training.start', dict(a=1), r'Unknown config key `model\.training\.start\.a`'),
        ('lfq_32', 'training.start', dict(checkpoint=3), 'must be a string or None, got 3'),
        ('lfq_32', f'{GAME}.padding', 4, 'must be an integer from 0 to 3, got 4'),
        ('titok_stage2_32', f'{GAME}.num_stages', 10**9, 'is too large for this machine'),
    ],
)
def test_refused_when_the_model_is_built(name, key, value, message):
    with pytest.raises(UserError, match=message) as caught:
        init_model(TINY / f'{name}.py', cfg_options={f'model.{key}': value}, device='meta')
    assert key.rpartition('.')[2] in str(caught.value)


@pytest.mark.parametrize('key', ['foreach', 'fused'])
@pytest.mark.parametrize('value', ['x', -1, [], {}], ids=str)
def test_switches_of_torchs_optimizers(key, value):
    path = f'optim_wrapper.transformer.optimizer.{key}'
    with pytest.raises(UserError, match=rf'^{path} must be True or False or None, got'):
        load_config(TINY / 'ar_32.py', {path: value})
    assert all(load_config(TINY / 'ar_32.py', {path: good}) for good in (None, True))


@pytest.mark.parametrize(
    'key',
    [
        'train_dataloader.sampler.dataset',
        'train_dataloader.collate_fn.data_batch',
        'train_cfg.runner',
        'val_cfg.evaluator',
        'model_wrapper_cfg.module',
        'param_scheduler.0.optimizer',
    ],
)
def test_what_the_runner_gives_is_no_key(key):
    with pytest.raises(UserError, match=f'^Unknown config key `{key}`'):
        load_config(TINY / 'ar_32.py', {key: None})


def test_what_follows_from_the_other_parts_may_be_repeated():
    options = {'model.encoder.out_channels': 8, 'model.decoder.out_channels': 3}
    model = init_model(TINY / 'lfq_32.py', cfg_options=options)
    assert (model.encoder.out_channels, model.decoder.out_channels) == (8, 3)


def test_images_that_a_discriminator_is_too_deep_for():
    game = PatchGAN(channels=2, num_layers=3)
    assert game(torch.zeros(2, 3, 32, 32)).shape == (2, 1, 2, 2)
    for deep in (PatchGAN(channels=2, num_layers=4), PatchGAN(channels=2, padding=0)):
        with pytest.raises(UserError, match='discriminator: images of 32 pixels are too small'):
            deep(torch.zeros(2, 3, 32, 32))


def test_codes_of_another_grid():
    loss, logits = CodeCrossEntropy(), torch.zeros(2, 5, 4, 4)
    assert loss(logits, torch.zeros(2, 4, 4, dtype=torch.int64)) > 0
    assert loss(logits, torch.full((2, 5, 4, 4), 0.2)) > 0
    with pytest.raises(UserError, match='outputs 4x4 codes .* but model.pixels.tokenizer has 2x2'):
        loss(logits, torch.zeros(2, 2, 2, dtype=torch.int64))
