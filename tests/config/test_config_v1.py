"""Keys of version 1 in files, overrides and merged configs of work directories."""

import pytest

from openmagvit2.config import load_config, version_1
from openmagvit2.engine.resume.changes import read_settings
from openmagvit2.errors import UserError
from openmagvit2.models.tokenizers.training import Training
from openmagvit2.registry import MODELS

PARTS = """
    type='VisualTokenizer',
    encoder=dict(type='CnnEncoder', channels=32),
    quantizer=dict(type='LFQ', num_bits=8),
    decoder=dict(type='CnnDecoder', channels=32)"""
OLD = f"""
model = dict({PARTS},
    discriminator=dict(type='PatchGAN', channels=16, num_layers=2),
    perceptual_loss=dict(type='LPIPSLoss', net='vgg'),
    perceptual_weight=0.5,
    adversarial_loss=dict(type='AdversarialLoss', discriminator='vanilla'),
    quantizer_loss_weights=dict(entropy=0.3),
    lecam_weight=0.01,
    disc_start=7)
"""
NEW = dict(
    losses=dict(perceptual=dict(type='LPIPSLoss', net='vgg', weight=0.5)),
    quantizer_losses=dict(entropy=0.3),
    adversarial=dict(
        type='Adversarial',
        discriminator=dict(type='PatchGAN', channels=16, num_layers=2),
        regularizers=[dict(type='LeCAM', weight=0.01)],
        start=7,
        discriminator_loss='vanilla',
    ),
)
TODAY = f"""
model = dict({PARTS},
    training=dict(
        losses=dict(reconstruction=dict(type='L2Loss', weight=25.0)),
        adversarial=dict(
            type='Adversarial', discriminator=dict(type='PatchGAN', channels=16, num_layers=2),
            weight=0.2,
            regularizers=[dict(type='R1', weight=10.0), dict(type='LeCAM', weight=0.05)])))
"""


@pytest.fixture
def training(tmp_path):
    """Return ``training`` of a file with a base and overrides."""

    def load(base: str, options: dict | None = None, child: str = '') -> dict:
        (tmp_path / 'base.py').write_text(base)
        (tmp_path / 'a.py').write_text("_base_ = './base.py'\n" + child)
        return load_config(tmp_path / 'a.py', options).model.to_dict()['training']

    return load


def test_a_file(training):
    assert training(OLD) == NEW


def test_each_key_is_one_printed_line(training, monkeypatch):
    lines = []
    monkeypatch.setattr(version_1, 'print_log', lambda line, *args: lines.append(line))
    training(OLD)
    assert len(lines) == 7
    assert 'model.disc_start → model.training.adversarial.start' in lines


def test_overrides_of_an_old_file(training):
    options = {
        'model.discriminator': None,
        'model.lecam_weight': 0,
        'model.quantizer_loss_weights.commitment': 1.0,
        'model.perceptual_loss': None,
    }
    found = training(OLD, options)
    assert found['adversarial']['discriminator'] is None
    assert found['adversarial']['regularizers'] == [dict(type='LeCAM', weight=0)]
    assert found['quantizer_losses'] == dict(entropy=0.3, commitment=1.0)
    assert found['losses'] == dict(perceptual=None)
    # Current keys override those of an old file.
    assert training(OLD, {'model.training.adversarial': None})['adversarial'] is None


def test_paths_into_old_dicts(training):
    found = training(OLD, {'model.discriminator.channels': 64, 'model.perceptual_loss.net': 'alex'})
    assert found['adversarial']['discriminator'] == dict(type='PatchGAN', channels=64, num_layers=2)
    assert found['losses']['perceptual'] == dict(type='LPIPSLoss', net='alex', weight=0.5)
    found = training(OLD, {'model.discriminator.type': 'BlurPatchGAN'})
    assert found['adversarial']['discriminator'] == dict(type='BlurPatchGAN', channels=16)
    with pytest.raises(UserError, match=r'adversarial.discriminator.chanels.*did you mean `chann'):
        training(OLD, {'model.discriminator.chanels': 64})


def test_old_keys_on_a_file_in_todays_spelling(training):
    child = """
model = dict(
    discriminator=dict(_delete_=True, type='BlurPatchGAN', num_stages=2), adversarial_weight=0.1,
    lecam_weight=0.0, reconstruction_loss=dict(_delete_=True, type='L1Loss'))
"""
    assert training(TODAY, child=child) == dict(
        losses=dict(reconstruction=dict(type='L1Loss', weight=25.0)),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='BlurPatchGAN', num_stages=2),
            weight=0.1,
            regularizers=[dict(type='R1', weight=10.0), dict(type='LeCAM', weight=0.0)],
        ),
    )
    found = training(TODAY, {'model.reconstruction_weight': 2.0, 'model.discriminator': None})
    assert found['losses']['reconstruction'] == dict(type='L2Loss', weight=2.0)
    assert found['adversarial']['discriminator'] is None


def test_no_discriminator_is_no_game(training):
    base = f'model = dict({PARTS}, discriminator=None, perceptual_loss=None)'
    assert training(base) == dict(losses=dict(perceptual=None), adversarial=None)
    found = training(base, {'model.discriminator.type': 'PatchGAN'})['adversarial']
    assert found == dict(
        type='Adversarial',
        discriminator=dict(type='PatchGAN'),
        regularizers=[dict(type='LeCAM', weight=0.05)],
    )


def test_a_weight_waits_for_its_loss(training):
    base = f'model = dict({PARTS}, perceptual_loss=None, perceptual_weight=0.25)'
    assert training(base)['losses'] == dict(perceptual=dict(type=None, weight=0.25))
    for child in (
        "model = dict(perceptual_loss=dict(type='L2Loss'))",
        "model = dict(training=dict(losses=dict(perceptual=dict(type='L2Loss'))))",
    ):
        assert training(base, child=child)['losses'] == dict(
            perceptual=dict(type='L2Loss', weight=0.25)
        )
    found = training(base, {'model.perceptual_weight': 0.5})['losses']
    assert found == dict(perceptual=dict(type=None, weight=0.5))
    # The model has no such loss.
    assert list(Training(losses=found).losses) == ['reconstruction']


def test_losses_of_ones_own(training):
    base = f"""model = dict({PARTS}, discriminator=dict(type='PatchGAN'),
        lecam_loss=dict(type='L1Loss'), adversarial_loss=dict(type='L2Loss'))"""
    assert training(base)['adversarial'] == dict(
        type='Adversarial',
        discriminator=dict(type='PatchGAN'),
        regularizers=[dict(type='L1Loss', weight=0.05, name='lecam')],
        generator_loss=dict(type='L2Loss'),
        discriminator_loss=dict(type='L2Loss'),
    )


def test_the_tokenizer_of_a_generator():
    options = {'model.tokenizer.discriminator': None, 'model.tokenizer.lecam_weight': 0.1}
    tokenizer = load_config('configs/tiny/ar_32.py', options).model.tokenizer.to_dict()
    assert tokenizer['training']['adversarial']['regularizers'] == [dict(type='LeCAM', weight=0.1)]
    assert 'discriminator' not in tokenizer and tokenizer['checkpoint'] is None


def test_settings_of_a_checkpoint_compare_in_todays_spelling(training):
    found = version_1.translated(read_settings(OLD), {}, say=False)
    assert found['model']['training'] == NEW


DEEPER = PARTS.replace('channels=32', 'channels=32, channel_multipliers=(1, 2, 2)')
GENERATOR = f"""
model = dict(
    type='ClassConditionalGenerator',
    tokenizer=dict(checkpoint='a.pth',{DEEPER}),
    factorization=dict(type='TokenFactorization', bits=[3, 5]),
    backbone=dict(type='Llama', dim=64, num_layers=1, num_heads=2),
    head=dict(type='SeparateHead'),
    num_classes=7,
    class_dropout=0.2,
    token_dropout=0.3,
    grid=(2, 3))
"""


@pytest.fixture
def generator(tmp_path):
    """Return the model of a file with a base and overrides."""

    def load(base: str, options: dict | None = None, child: str = '') -> dict:
        (tmp_path / 'base.py').write_text(base)
        (tmp_path / 'a.py').write_text("_base_ = './base.py'\n" + child)
        return load_config(tmp_path / 'a.py', options).model.to_dict()

    return load


def test_a_generator(generator, monkeypatch):
    lines = []
    monkeypatch.setattr(version_1, 'print_log', lambda line, *args: lines.append(line))
    found = generator(GENERATOR)
    assert found['conditioner'] == dict(type='ClassLabel', num_classes=7, dropout=0.2)
    # Two downsamplings: 4 pixels per token.
    assert found['image_size'] == [8, 12] and found['input_dropout'] == 0.3
    assert not found.keys() & {'grid', 'num_classes', 'class_dropout', 'token_dropout'}
    assert sorted(lines) == [
        'model.class_dropout → model.conditioner.dropout',
        'model.grid → model.image_size',
        'model.num_classes → model.conditioner.num_classes',
        'model.token_dropout → model.input_dropout',
    ]


def test_overrides_of_a_generator(generator):
    found = generator(GENERATOR, {'model.num_classes': 9, 'model.grid': (5, 5)})
    assert found['conditioner'] == dict(type='ClassLabel', num_classes=9, dropout=0.2)
    assert found['image_size'] == [20, 20]
    # A grid in a file with another tokenizer refers to that tokenizer.
    child = 'model = dict(tokenizer=dict(encoder=dict(channel_multipliers=(1, 2))), grid=(5, 5))'
    assert generator(GENERATOR, child=child)['image_size'] == [10, 10]


def test_a_model_of_version_1_is_built(generator):
    model = MODELS.build(generator(GENERATOR))
    assert type(model).__name__ == 'AutoregressiveGenerator'
    assert model.grid == model.token_shape == (2, 3) and model.num_classes == 7
    assert model.class_embedding.weight.shape == (8, 64)
