"""Every registered converter converts all tensors in both directions, bit for bit."""

import re

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import is_ours, to_official, to_ours
from openmagvit2.checkpoint.converters import choose, converters, is_official, rules
from openmagvit2.errors import UserError

CASES = [(converter, config) for converter in converters() for config in converter.configs]


def filled(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return other values for each tensor of a model."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(x.shape, generator=generator) if x.is_floating_point() else x + 1
        for name, x in model.state_dict().items()
    }


def test_every_converter_names_a_config():
    assert converters() and all(converter.configs for converter in converters())


@pytest.mark.parametrize(
    ('converter', 'config'), CASES, ids=[f'{type(c).__name__}-{config}' for c, config in CASES]
)
def test_there_and_back(converter, config):
    model = init_model(config)
    assert type(choose(model, name=type(converter).__name__)) is type(converter)
    ours = filled(model)
    official = to_official(dict(state_dict=ours), model, converter=converter)[0]['state_dict']
    assert converter.detects(official) and is_official(official)
    assert not is_ours(dict(state_dict=official), model) and not is_official(ours)
    assert type(choose(model, official)) is type(converter)
    again, _ = to_ours(official, model)
    # Leave out parts that official files do not have.
    lost = converter.lost(model)
    kept = {name for name in ours if not any(rule.covers(name) for rule in lost)}
    assert again['state_dict'].keys() == kept
    assert all(again['state_dict'][name].equal(ours[name]) for name in kept)
    back = to_official(again, model, converter=converter)[0]['state_dict']
    assert back.keys() == official.keys()
    for name, tensor in official.items():
        assert back[name].equal(tensor) and back[name].dtype == tensor.dtype, name


@pytest.mark.parametrize(
    ('config', 'table'),
    [
        ('vqgan_32', 'quantizer'),
        ('llamagen_vq_32', 'quantizer'),
        ('omni_tokenizer_32', 'quantizer'),
        ('rq_32', 'quantizer.quantizer'),
        ('var_tokenizer_32', 'quantizer.quantizer'),
    ],
)
def test_a_table_with_restarts_converts_without_its_counts(config, table):
    model = init_model(f'tiny/{config}', cfg_options={f'model.{table}.restart_after': 10})
    assert f'{table}.steps_unused' in model.state_dict()
    ours = filled(model)
    official = to_official(dict(state_dict=ours), model)[0]['state_dict']
    again = to_ours(official, model)[0]['state_dict']
    assert f'{table}.steps_unused' not in again and f'{table}.embedding.weight' in again


@pytest.mark.parametrize(
    ('converter', 'config'), CASES, ids=[f'{type(c).__name__}-{config}' for c, config in CASES]
)
def test_a_file_for_the_config_of_another_system(converter, config):
    model = init_model(config, device='meta')
    official = to_official(dict(state_dict=model.state_dict()), model, converter=converter)[0]
    others = {'tiny/bsq_32', 'tiny/fsq_32', 'tiny/ar_32_separate', 'tiny/sd_vq_32'}
    for other in sorted(others - {config}):
        with pytest.raises(UserError, match='is missing|instead of|does not cover') as error:
            to_ours(official['state_dict'], init_model(other, device='meta'))
        assert 'No system has' not in str(error.value)


@pytest.mark.parametrize(
    ('system', 'config', 'name'),
    [
        ('Vqgan', 'ar_vqgan_32', 'transformer.pos_emb'),
        ('WeTok', 'ar_grouped_32_official', 'transformer.0_emb.weight'),
        ('VitVqganGpt', 'vit_vqgan_ar_32', 'transformer.blocks.0.attn.time_mix'),
        ('MaskGitTorch', 'titok_proxy_32', 'encoder.mid.0.conv1.weight'),
    ],
)
def test_a_missing_tensor_does_not_make_a_file_of_another_system(system, config, name):
    model = init_model(f'tiny/{config}')
    converter = choose(model, name=system)
    official = to_official(dict(state_dict=filled(model)), model, converter=converter)[0]
    official = official['state_dict']
    del official[name]
    with pytest.raises(UserError, match=rf'raw weights\): {name} is missing'):
        to_ours(official, model)


@pytest.mark.parametrize('config', ['lfq_32_official', 'lfq_grouped_32', 'ibq_32', 'vqgan_32'])
def test_averages_alone_lack_the_raw_weights(config):
    model = init_model(f'tiny/{config}', device='meta')
    own = model.state_dict()
    official = to_official(dict(state_dict=own, ema_state_dict=own), model)[0]['state_dict']
    averages = {name: x for name, x in official.items() if name.startswith('model_ema.')}
    with pytest.raises(UserError, match=r'raw weights\): \S+ is missing'):
        to_ours(averages, model)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('converter', converters(), ids=lambda c: type(c).__name__)
def test_files_of_half_precision(converter, dtype):
    """Tables that follow from the config have the precision of the file."""
    model = init_model(converter.configs[0])
    ours = filled(model)
    official = to_official(dict(state_dict=ours), model, converter=converter)[0]['state_dict']
    half = {n: x.to(dtype) if x.is_floating_point() else x for n, x in official.items()}
    found = to_ours(half, model, converter=converter)[0]['state_dict']
    assert all(torch.allclose(found[name].float(), ours[name].float(), atol=0.01) for name in found)


@pytest.mark.parametrize(
    ('converter', 'config'), CASES, ids=[f'{type(c).__name__}-{config}' for c, config in CASES]
)
def test_no_tensor_is_passed_over(converter, config):
    model = init_model(config)
    official = to_official(dict(state_dict=filled(model)), model, converter=converter)[0]
    official = official['state_dict']
    lost = converter.lost(model)
    made = {name for rule in lost for name in rule.fill}
    networks = [n for n in official if n.startswith(converter.weights) and n not in made]
    for name in (networks[0], networks[-1]):
        short = {key: x for key, x in official.items() if key != name}
        with pytest.raises(UserError, match='is missing'):
            to_ours(short, model)
        grown = official | {name: torch.cat([official[name]] * 2)}
        with pytest.raises(UserError, match='instead of'):
            to_ours(grown, model)
    derived = {name for rule in lost if isinstance(rule, rules.Derived) for name in rule.tensors}
    for name in derived & official.keys():
        for other in (None, 'text', official[name].to_sparse()):
            with pytest.raises(UserError, match=re.escape(name)):
                to_ours(official | {name: other}, model)
    with pytest.raises(UserError, match='tensors that this config does not'):
        to_ours(official | {f'{networks[0]}.more': torch.zeros(1)}, model)


def test_tables_of_all_depths_must_be_one():
    """RQ's files repeat the table for each depth, with a last row of zeros."""
    model = init_model('tiny/rq_32')
    official = to_official(dict(state_dict=filled(model)), model)[0]['state_dict']
    name = 'quantizer.codebooks.1.weight'
    assert official[name].equal(official['quantizer.codebooks.0.weight'])
    with pytest.raises(UserError, match=f'{name} differs from quantizer.codebooks.0.weight'):
        to_ours(official | {name: official[name] + 1}, model)
    more = {name: x + 1 for name, x in official.items() if re.match(r'.*codebooks.*weight', name)}
    with pytest.raises(UserError, match='0.weight: the last row must be zero'):
        to_ours(official | more, model)
