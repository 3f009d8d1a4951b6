"""Conversion of files in the official layout of Open-MAGVIT2."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from open_magvit2_names import ema_names, official_names

from openmagvit2.apis import Generator, Tokenizer, init_model
from openmagvit2.apis.models import published_files
from openmagvit2.checkpoint import (
    check_weights,
    read_checkpoint,
    to_official,
    to_ours,
    write_checkpoint,
)
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.workflows.train import train

ROOT = Path(__file__).parents[2]
TINY = ROOT / 'configs' / 'tiny' / 'lfq_32_official.py'
TINY_AR = ROOT / 'configs' / 'tiny' / 'ar_32_official.py'


def random_state(model: torch.nn.Module, averages: bool = True) -> dict:
    """Return an official state dict of a model, filled with seeded values."""
    generator = torch.Generator().manual_seed(0)
    state = {
        official: torch.rand(model.state_dict()[name].shape, generator=generator)
        for name, official in official_names(model).items()
    }
    if averages:
        state |= {
            'model_ema.decay': torch.tensor(0.999),
            'model_ema.num_updates': torch.tensor(-1, dtype=torch.int32),
        }
        state |= {
            key: torch.rand(model.state_dict()[name].shape, generator=generator)
            for name, key in ema_names(model).items()
        }
    for name in [name for name in state if name.endswith('num_batches_tracked')]:
        state[name] = torch.tensor(6)
    return state


@pytest.fixture
def run(tool):
    return functools.partial(tool, 'convert_checkpoint')


@pytest.fixture(scope='module')
def model():
    return init_model(TINY)


COUNTS = [
    ('lfq_256', (339, 22, 352)),
    ('lfq_128', (283, 22, 296)),
    ('lfq_256_16k_pretrain', (339, 21, 357)),
]


@pytest.mark.parametrize(('name', 'counts'), COUNTS)
def test_names_of_the_full_sizes(name, counts):
    model = init_model(name, device='meta')
    names = official_names(model).values()
    networks = sum(n.startswith(('encoder.', 'decoder.')) for n in names)
    assert (networks, len(names) - networks, len(set(ema_names(model).values()))) == counts
    assert {'decoder.adaptive.0.gamma.weight', 'encoder.down.1.block.0.conv1.weight'} <= set(names)
    assert 'model_ema.encoderdown0block0norm1weight' in ema_names(model).values()


def test_there_and_back_keeps_every_bit(model):
    state = random_state(model)
    ours, report = to_ours(state, model)
    back, _ = to_official(ours, model)
    assert back['state_dict'].keys() == state.keys()
    for name, tensor in state.items():
        assert (
            back['state_dict'][name].equal(tensor)
            and back['state_dict'][name].dtype == tensor.dtype
        ), name
    again, _ = to_ours(back['state_dict'], model)
    assert all(again[key][name].equal(ours[key][name]) for key in ours for name in ours[key])
    assert ('decoder', 35, 'taken, averages') in report.rows


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_command_writes_files_that_load_and_repeat(model, tmp_path, ending, run):
    source = tmp_path / 'official.ckpt'
    torch.save(dict(state_dict=random_state(model), epoch=3), source)
    ours, back, again = (
        tmp_path / f'ours.{ending}',
        tmp_path / 'back.ckpt',
        tmp_path / f'again.{ending}',
    )
    assert run(source, ours, '--config', TINY)[0] == 0
    assert run(ours, back, '--config', TINY, '--to', 'official')[0] == 0
    assert run(back, again, '--config', TINY)[0] == 0
    assert ours.read_bytes() == again.read_bytes()
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    averaged = Tokenizer.from_config(TINY, ours)
    assert averaged.model.encoder.conv_in.weight.equal(
        read_checkpoint(source)['state_dict']['model_ema.encoderconv_inweight']
    )
    assert averaged.reconstruct(image)[0].shape == (32, 32, 3)


def test_weights_choose(model):
    state = random_state(model)
    for weights, key in (
        ('raw', 'encoder.conv_in.weight'),
        ('ema', 'model_ema.encoderconv_inweight'),
    ):
        ours, _ = to_ours(state, model, weights)
        assert set(ours) == {'state_dict'}
        assert ours['state_dict']['encoder.conv_in.weight'].equal(state[key])
    without = random_state(model, averages=False)
    assert 'ema_state_dict' not in to_ours(without, model)[0]
    with pytest.raises(ValueError, match='no averaged weights'):
        to_ours(without, model, 'ema')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('decoder.conv_in.weight'), 'decoder.conv_in.weight is missing'),
        (
            lambda s: s.update({'encoder.conv_out.bias': torch.zeros(9)}),
            r'encoder.conv_out.bias is \(9,\) instead of \(8,\)',
        ),
        (
            lambda s: s.pop('model_ema.decodernorm_outbias'),
            'model_ema.decodernorm_outbias is missing',
        ),
        (
            lambda s: s.pop('loss.discriminator.main.0.bias'),
            'loss.discriminator.main.0.bias is missing',
        ),
        (
            lambda s: s.update({'encoder.down.7.weight': torch.zeros(1)}),
            'tensors that this config does not: encoder.down.7.weight',
        ),
        (
            lambda s: s.update({'model_ema.encoderextra': torch.zeros(1)}),
            'tensors that this config does not: model_ema.encoderextra',
        ),
        (
            lambda s: s.update({'loss.discriminator.main.20.bias': torch.zeros(1)}),
            'does not: loss.discriminator.main.20.bias',
        ),
        (
            lambda s: s.update({'quantize.embedding.weight': torch.zeros(4, 4)}),
            'does not: quantize.embedding.weight',
        ),
        (
            lambda s: s.update({'decoder.conv_out.bias': 3}),
            'decoder.conv_out.bias is an int instead of a tensor',
        ),
        (
            lambda s: s.update({'decoder.conv_out.bias': None}),
            'decoder.conv_out.bias is None instead of a tensor',
        ),
        (
            lambda s: s.update({'encoder.conv_out.bias': torch.zeros(8, dtype=torch.int64)}),
            'encoder.conv_out.bias is int64 instead of floating-point numbers',
        ),
        (
            lambda s: s.update({'encoder.conv_out.bias': torch.zeros(8, dtype=torch.complex64)}),
            'encoder.conv_out.bias is complex64 instead of floating-point numbers',
        ),
        (
            lambda s: s.update({'encoder.conv_out.bias': torch.zeros(8).to_sparse()}),
            'encoder.conv_out.bias is sparse instead of dense',
        ),
        (
            lambda s: s.update({'encoder.conv_out.bias': torch.zeros(8).to(torch.float8_e5m2)}),
            'encoder.conv_out.bias is float8_e5m2, which is not supported; convert it to float32',
        ),
    ],
)
def test_wrong_files_are_refused(model, change, message):
    state = random_state(model)
    change(state)
    with pytest.raises(ValueError, match=message):
        to_ours(state, model)


def test_each_format_is_refused_where_the_other_is_expected(model, tmp_path, run):
    official, ours = tmp_path / 'official.ckpt', tmp_path / 'ours.pth'
    torch.save(dict(state_dict=random_state(model)), official)
    assert run(official, tmp_path / 'x.pth', '--config', TINY, '--to', 'official')[0] == 2
    assert run(official, ours, '--config', TINY)[0] == 0
    before = ours.read_bytes()
    for target in (tmp_path / 'x.pth', ours):
        code, _, err = run(ours, target, '--config', TINY)
        assert code == 2 and ('already in our layout' in err or 'the source itself' in err)
    assert ours.read_bytes() == before and not (tmp_path / 'x.pth').exists()
    # Errors name the file.
    assert run(ours, 'x.bin', '--config', TINY)[2].startswith('error: x.bin: write a checkpoint')
    assert run(ours, tmp_path / 'x.pth', '--config', TINY)[2].startswith(f'error: {ours}: The file')
    with pytest.raises(ValueError, match='is an official one: convert it first'):
        init_model(TINY, official)


def test_a_file_without_discriminator_has_no_averages_of_one(model):
    state = {
        name: tensor for name, tensor in random_state(model).items() if not name.startswith('loss.')
    }
    ours, report = to_ours(state, model)
    assert {name.split('.')[0] for name in ours['ema_state_dict']} == {'encoder', 'decoder'}
    assert (
        'model_ema.lossdiscriminator',
        13,
        'dropped: the file has no discriminator',
    ) in report.rows


def test_bit_order_of_the_first_version_is_noted(tmp_path, run):
    old = {'model.decoder.adaptive_norm': False}
    torch.save(
        dict(state_dict=random_state(init_model(TINY, cfg_options=old)), epoch=3),
        tmp_path / 'old.ckpt',
    )
    options = [
        tmp_path / 'old.ckpt',
        tmp_path / 'old.pth',
        '--config',
        TINY,
        '--cfg-options',
        'model.decoder.adaptive_norm=False',
    ]
    code, out, _ = run(*options)
    assert code == 0 and "bit_order='msb'; the config has 'lsb'" in out and 'epoch' in out
    code, out, _ = run(*options, 'model.quantizer.bit_order=msb')
    assert code == 0 and 'note' not in out


def test_what_is_left_out_is_reported(model):
    state = {
        name: tensor for name, tensor in random_state(model).items() if 'discriminator' not in name
    }
    state |= {
        'loss.perceptual_loss.lin0.model.1.weight': torch.zeros(1),
        'loss.logvar': torch.zeros(()),
    }
    ours, report = to_ours(state, model)
    text = str(report)
    assert 'discriminator' in text and 'not in the file' in text
    assert 'perceptual' in text and 'loss.logvar' in text
    assert not any('discriminator' in name for name in ours['state_dict'])


def one_step_from(checkpoint: Path):
    """Return a config that trains for one iteration, starting from these weights."""
    options = {'train_cfg.max_iters': 1, 'load_from': str(checkpoint)}
    return load_config(TINY, options)


def test_converted_weights_start_a_training(model, tmp_path):
    ours, _ = to_ours(random_state(model), model)
    write_checkpoint(ours, tmp_path / 'ours.pth')
    config = one_step_from(tmp_path / 'ours.pth')
    config.optim_wrapper.autoencoder.optimizer.lr = 0.0
    runner = train(config, str(tmp_path / 'run'))
    assert runner.model.encoder.conv_in.weight.equal(ours['state_dict']['encoder.conv_in.weight'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda c: c['state_dict'].update({'encoder.conv_out.bias': torch.zeros(2)}),
            r'encoder.conv_out.bias \(2,\) instead of \(8,\)',
        ),
        (
            lambda c: c['ema_state_dict'].update({'encoder.conv_out.bias': torch.zeros(2)}),
            r'encoder.conv_out.bias \(2,\) instead',
        ),
        (lambda c: c['state_dict'].pop('encoder.conv_out.bias'), '1 missing'),
        (
            lambda c: c['state_dict'].update(
                {'encoder.conv_out.bias': torch.zeros(8, dtype=torch.int64)}
            ),
            '1 unfit .encoder.conv_out.bias int64 instead of floating-point numbers',
        ),
    ],
)
def test_a_training_refuses_weights_that_do_not_fit(model, tmp_path, change, message):
    ours, _ = to_ours(random_state(model), model)
    change(ours)
    if 'missing' in message:
        del ours['ema_state_dict']
    write_checkpoint(ours, tmp_path / 'ours.pth')
    with pytest.raises(ValueError, match=message):
        train(one_step_from(tmp_path / 'ours.pth'), str(tmp_path / 'run'))


def test_weights_alone_are_no_training_to_resume(model, tmp_path):
    write_checkpoint(to_ours(random_state(model), model)[0], tmp_path / 'ours.pth')
    with pytest.raises(
        ValueError, match='holds weights only: start from them with --cfg-options load_from='
    ):
        train(load_config(TINY), str(tmp_path / 'run'), resume=str(tmp_path / 'ours.pth'))


def test_generator_there_and_back(tmp_path, run):
    model = init_model(TINY_AR)
    state = random_state(model, averages=False)
    state['transformer.spatial_blocks.0.attention.kv_cache.k_cache'] = torch.zeros(2)
    torch.save(dict(state_dict=state), tmp_path / 'ar.ckpt')
    raw = {
        name.removeprefix('first_stage_model.'): tensor
        for name, tensor in state.items()
        if name.startswith('first_stage_model.')
    }
    torch.save(dict(state_dict=raw), tmp_path / 'tokenizer.ckpt')
    config = ['--config', TINY_AR, '--tokenizer']
    code, out, err = run(
        tmp_path / 'ar.ckpt', tmp_path / 'ar.pth', *config, tmp_path / 'tokenizer.ckpt'
    )
    assert code == 0, err
    assert 'equals the raw weights' in out and 'left by a sampling run' in out
    torch.save(
        dict(state_dict={name: tensor + 1 for name, tensor in raw.items()}), tmp_path / 'other.ckpt'
    )
    arguments = [tmp_path / 'ar.pth', tmp_path / 'x.ckpt', '--to', 'official', *config]
    assert 'equals neither' in run(*arguments, tmp_path / 'other.ckpt')[1]
    del raw['encoder.conv_in.weight']
    torch.save(
        dict(state_dict=raw | {'model_ema.decay': torch.tensor(1.0)}), tmp_path / 'short.ckpt'
    )
    code, _, err = run(*arguments, tmp_path / 'short.ckpt')
    assert code == 2 and 'short.ckpt: The file does not fit this config' in err
    assert (
        run(tmp_path / 'ar.pth', tmp_path / 'back.ckpt', '--config', TINY_AR, '--to', 'official')[0]
        == 0
    )
    back = read_checkpoint(tmp_path / 'back.ckpt')['state_dict']
    del state['transformer.spatial_blocks.0.attention.kv_cache.k_cache']
    assert back.keys() == state.keys() and all(back[name].equal(state[name]) for name in state)
    assert Generator.from_config(TINY_AR, tmp_path / 'ar.pth').sample([1], seed=0).shape == (
        1,
        32,
        32,
        3,
    )


def test_models_without_an_official_layout_are_refused(tmp_path, run):
    with pytest.raises(ValueError, match=r'does not cover this model \(quantizer'):
        official_names(init_model('tiny/vq_32'))
    model = init_model('tiny/vq_32')
    write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'vq.pth')
    arguments = [tmp_path / 'vq.pth', tmp_path / 'x.pth', '--config', 'configs/tiny/vq_32.py']
    arguments += ['--to', 'official']
    code, _, err = run(*arguments)
    assert code == 2 and 'No system has an official layout for this model' in err
    assert 'Bsq, Cosmos' in err and 'Rar' not in err and '--list shows their configs' in err
    code, _, err = run(*arguments, '--converter', 'Bsq')
    assert code == 2 and 'The layout of Bsq does not cover this model (quantizer that' in err
    code, _, err = run(tmp_path / 'nothing.ckpt', tmp_path / 'x.pth', '--config', TINY)
    assert code == 2 and 'nothing.ckpt does not exist' in err
    listed = run('--list')[1].splitlines()
    assert len(listed) == len(published_files()) == 93
    assert len({line.index('configs/') for line in listed}) == 1


@pytest.mark.parametrize('name', ['titok_32', 'vit_vqgan_32'])
def test_counts_of_restarts_which_official_files_lack_begin_at_zero(name, run, tmp_path):
    config, files = f'configs/tiny/{name}.py', [tmp_path / f'{i}.pth' for i in range(3)]
    own = init_model(config)
    own.quantizer.steps_unused.fill_(3)
    write_checkpoint(dict(state_dict=own.state_dict(), meta={}), files[0])
    for source, target, way in ((*files[:2], 'official'), (*files[1:], 'ours')):
        code, _, err = run(source, target, '--config', config, '--to', way)
        assert code == 0, err
    again = init_model(config, files[2])
    assert not again.quantizer.steps_unused.any()
    assert again.quantizer.table.equal(own.quantizer.table)
    # Resuming a training needs them.
    state = {k: v for k, v in own.state_dict().items() if not k.endswith('.steps_unused')}
    with pytest.raises(UserError, match='steps_unused'):
        check_weights(own, state, 'A file')
