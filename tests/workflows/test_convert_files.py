"""Conversion of several files: joining, splitting, and adding a tokenizer."""

import re

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import (
    dataset_meta,
    read_checkpoint,
    save_atomically,
    to_official,
    write_checkpoint,
)
from openmagvit2.checkpoint.containers import packed
from openmagvit2.checkpoint.converters import choose
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.workflows.convert import convert


def filled(config) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(x.shape, generator=generator)
        for name, x in init_model(config).state_dict().items()
    }


@pytest.fixture
def files(tmp_path):
    """VAR's two official files, each a bare state dict, and our checkpoint with both."""
    ours = filled('tiny/var_32')
    official = to_official(dict(state_dict=ours), init_model('tiny/var_32'))[0]['state_dict']
    parts = ('encoder.', 'decoder.', 'quantize.', 'quant_conv.', 'post_quant_conv.')
    tokenizer = {name: x for name, x in official.items() if name.startswith(parts)}
    torch.save(tokenizer, tmp_path / 'vae.pth')
    torch.save({k: x for k, x in official.items() if k not in tokenizer}, tmp_path / 'var.pth')
    return tmp_path, ours


def test_two_files_become_one_and_two_again(files, capsys):
    folder, ours = files
    convert([folder / 'var.pth', folder / 'vae.pth'], folder / 'ours.pth', 'tiny/var_32')
    state = read_checkpoint(folder / 'ours.pth')['state_dict']
    assert state.keys() == ours.keys() and all(state[name].equal(ours[name]) for name in ours)
    init_model('tiny/var_32', folder / 'ours.pth')
    convert([folder / 'ours.pth'], folder / 'back.pth', 'tiny/var_32', to='official')
    assert 'back_tokenizer.pth' in capsys.readouterr().out
    for back, first in (('back', 'var'), ('back_tokenizer', 'vae')):
        back, first = (
            torch.load(folder / f'{name}.pth', weights_only=True) for name in (back, first)
        )
        assert back.keys() == first.keys() and all(back[name].equal(first[name]) for name in back)


def test_a_transformer_without_its_tokenizer_goes_back_alone(files):
    folder, _ = files
    convert([folder / 'var.pth'], folder / 'ours.pth', 'tiny/var_32')
    convert([folder / 'ours.pth'], folder / 'back.pth', 'tiny/var_32', to='official')
    assert not (folder / 'back_tokenizer.pth').exists()
    back, first = (torch.load(folder / f'{n}.pth', weights_only=True) for n in ('back', 'var'))
    assert back.keys() == first.keys() and all(back[name].equal(first[name]) for name in back)


def test_files_that_contradict_each_other_are_refused(files):
    folder, _ = files
    other = torch.load(folder / 'vae.pth', weights_only=True)
    other['encoder.conv_in.bias'] += 1
    for value in (other['encoder.conv_in.bias'], torch.zeros(2), torch.eye(3).to_sparse(), 3, None):
        torch.save(other | {'encoder.conv_in.bias': value}, folder / 'other.pth')
        with pytest.raises(
            UserError, match='both have encoder.conv_in.bias, with different values'
        ):
            convert([folder / 'vae.pth', folder / 'other.pth'], folder / 'x.pth', 'tiny/var_32')


@pytest.mark.parametrize('number', ['nan', 'inf', '-inf'])
def test_numbers_that_are_not_finite_are_refused(files, number):
    folder, ours = files
    state = torch.load(folder / 'vae.pth', weights_only=True)
    state['decoder.conv_in.weight'][0, 0] = float(number)
    torch.save(state, folder / 'vae.pth')
    with pytest.raises(UserError, match=r'vae\.pth: tokenizer\.decoder\.conv_in\.weight has NaN'):
        convert([folder / 'var.pth', folder / 'vae.pth'], folder / 'ours.pth', 'tiny/var_32')
    save_atomically(dict(state_dict=ours), folder / 'good.pth')
    ours['head.classifiers.0.bias'][1] = float(number)
    save_atomically(dict(state_dict=ours), folder / 'bad.pth')
    # The infinite numbers of VAR's own mask are no fault.
    convert([folder / 'good.pth'], folder / 'back.pth', 'tiny/var_32', to='official')
    for target in ('back_2.pth', 'bad.safetensors'):
        to = 'official' if target.endswith('.pth') else 'ours'
        with pytest.raises(UserError, match=r'bad\.pth: head\.classifiers\.0\.bias has NaN'):
            convert([folder / 'bad.pth'], folder / target, 'tiny/var_32', to=to)
        assert not (folder / target).exists()


@pytest.mark.parametrize('config', ['rq_32', 'llamagen_vq_32'])
def test_a_discriminator_beside_the_weights_is_no_model(tmp_path, config):
    model = init_model(f'tiny/{config}', device='cpu')
    official = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    save_atomically(packed(official, choose(model)), tmp_path / 'official.pt')
    with pytest.raises(UserError, match='does not cover|does not fit'):
        convert([tmp_path / 'official.pt'], tmp_path / 'x.pth', 'tiny/lfq_32')


def test_unknown_parts_of_a_file_are_reported_as_not_read(tmp_path, capsys):
    model = init_model('tiny/vqgan_32', device='cpu')
    official = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    state = official | {'extra.weight': torch.zeros(2), 'extra.bias': torch.zeros(2)}
    content = dict(state_dict=state, other=dict(weight=torch.zeros(2)), epoch=3)
    torch.save(content, tmp_path / 'official.ckpt')
    convert([tmp_path / 'official.ckpt'], tmp_path / 'ours.pth', 'tiny/vqgan_32')
    out = capsys.readouterr().out
    assert re.search(r'^extra +2  not read: the model has no part of this name$', out, re.M)
    assert re.search(r'^other, epoch +2  not read: entries other than the weights$', out, re.M)


@pytest.mark.parametrize(
    ('config', 'change', 'message'),
    [
        (
            'var_32',
            lambda s: {k: x for k, x in s.items() if 'scale_mul' not in k},
            'has no scale_mul_1H11',
        ),
        ('vqgan_32', lambda s: s | {'model.diffusion_model.a': torch.zeros(2)}, 'latent diffusion'),
        (
            'ar_llamagen_32',
            lambda s: s | {'freqs_cis': torch.zeros(65, 8, dtype=torch.complex64)},
            'freqs_cis is complex64, which is not supported; convert it to float32',
        ),
        (
            'rq_32',
            lambda s: {k: x for k, x in s.items() if 'codebooks.3' not in k},
            'codebooks.3.weight is missing. Give the config that belongs to it',
        ),
        (
            'bsq_32',
            lambda s: s | {'quant_embed.bias': torch.zeros(3)},
            r'quant_embed.bias is \(3,\) instead of \(8,\)',
        ),
    ],
)
def test_errors_name_the_file(tmp_path, config, change, message):
    model = init_model(f'tiny/{config}', device='cpu')
    official = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    torch.save(dict(state_dict=change(official)), tmp_path / 'official.ckpt')
    with pytest.raises(UserError, match=f'^{tmp_path}/official.ckpt: .*{message}'):
        convert([tmp_path / 'official.ckpt'], tmp_path / 'x.pth', f'tiny/{config}')


@pytest.mark.parametrize('tokenizer', ['vae.pth', 'ours.pth'])
def test_a_tokenizer_is_put_in_where_there_is_none(files, capsys, tokenizer):
    folder, ours = files
    own = {
        name.removeprefix('tokenizer.'): x
        for name, x in ours.items()
        if name.startswith('tokenizer.')
    }
    write_checkpoint(dict(state_dict=own), folder / 'ours.pth')
    convert([folder / 'var.pth'], folder / 'out.pth', 'tiny/var_32', tokenizer=folder / tokenizer)
    assert 'contains no tokenizer: the raw weights of' in capsys.readouterr().out
    state = read_checkpoint(folder / 'out.pth')['state_dict']
    assert state.keys() == ours.keys() and all(state[name].equal(ours[name]) for name in ours)
    convert(
        [folder / 'out.pth'],
        folder / 'again.ckpt',
        'tiny/var_32',
        to='official',
        tokenizer=folder / tokenizer,
    )
    assert 'equals the raw weights' in capsys.readouterr().out


def test_names_of_classes_stay(tmp_path):
    config = 'tiny/lfq_32_official'
    meta = dict(dataset_meta=dict(classes=['cat', 'dog']), iter=3)
    write_checkpoint(dict(state_dict=filled(config), meta=meta), tmp_path / 'ours.pth')
    convert([tmp_path / 'ours.pth'], tmp_path / 'official.ckpt', config, to='official')
    for ending in ('pth', 'safetensors'):
        target = tmp_path / f'again.{ending}'
        convert([tmp_path / 'official.ckpt'], target, config)
        assert dataset_meta(read_checkpoint(target)) == dict(classes=['cat', 'dog'])
        assert init_model(load_config('configs/tiny/lfq_32_official.py'), target).dataset_meta[
            'classes'
        ] == ['cat', 'dog']


def test_files_of_flax_come_back_as_pth(tmp_path, capsys):
    config = 'tiny/maskgit_32_official'
    ours = filled(config)
    write_checkpoint(dict(state_dict=ours), tmp_path / 'ours.pth')
    convert([tmp_path / 'ours.pth'], tmp_path / 'official.pth', config, to='official')
    assert 'official_tokenizer.pth' in capsys.readouterr().out
    state = read_checkpoint(tmp_path / 'official.pth')['state_dict']
    assert 'params.TransformerLayer_1.Attention_0.self_attention.query.kernel' in state
    assert not any(name.startswith('params.encoder.') for name in state)
    both = [tmp_path / 'official.pth', tmp_path / 'official_tokenizer.pth']
    convert(both, tmp_path / 'again.pth', config)
    again = read_checkpoint(tmp_path / 'again.pth')['state_dict']
    assert again.keys() == ours.keys() and all(again[name].equal(ours[name]) for name in ours)


def test_a_tokenizer_of_another_kind_stays_out_of_official_files(tmp_path, capsys):
    config = load_config(
        'configs/tiny/maskgit_32_official.py',
        {'model.tokenizer.quantizer': dict(_delete_=True, type='FSQ', levels=[4, 8], projection=8)},
    )
    state, report = to_official(dict(state_dict=filled(config)), init_model(config))
    assert not any(name.startswith('params.encoder.') for name in state['state_dict'])
    assert "not of MaskGIT's kind" in str(report)
