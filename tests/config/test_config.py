"""Loading of configs, overrides, and changes of a type."""

import ast
from pathlib import Path

import pytest

from openmagvit2.config import load_config
from openmagvit2.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'
BASE = """
model = dict(
    type='VisualTokenizer',
    encoder=dict(type='CnnEncoder', channels=32),
    quantizer=dict(type='LFQ', num_bits=8, temperature=0.02),
    decoder=dict(type='CnnDecoder', channels=32))
train_dataloader = dict(num_workers=0)
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    return tmp_path / 'base.py'


def test_override_of_type_drops_inherited_keys(config):
    loaded = load_config(config, {'model.quantizer.type': 'FSQ', 'model.quantizer.levels': [8, 5]})
    assert loaded.model.quantizer.to_dict() == dict(type='FSQ', levels=[8, 5])


def test_child_file_changes_a_type(config):
    child = config.parent / 'child.py'
    child.write_text("_base_ = './base.py'\nmodel = dict(quantizer=dict(type='VQ', code_dim=4))\n")
    assert load_config(child).model.quantizer.to_dict() == dict(type='VQ', code_dim=4)


def test_keys_written_with_the_new_type_are_errors(config):
    with pytest.raises(ValueError, match='model.quantizer.temperature'):
        load_config(config, {'model.quantizer.type': 'FSQ', 'model.quantizer.temperature': 1.0})


@pytest.mark.parametrize(
    ('key', 'nearest'),
    [
        ('model.quantizer.num_bit', 'num_bits'),
        ('model.quantiser.num_bits', 'quantizer'),
        ('train_dataloader.num_worker', 'num_workers'),
        ('modle.type', 'model'),
    ],
)
def test_misspelt_override_names_the_nearest(config, key, nearest):
    with pytest.raises(ValueError, match=f'{key.split(".")[-2]}.*did you mean `{nearest}`'):
        load_config(config, {key: 3})


def test_unknown_type_in_a_file(config):
    config.write_text(BASE.replace("'LFQ'", "'CnnDecoder'"))
    with pytest.raises(ValueError, match='`CnnDecoder` is in the decoder slot'):
        load_config(config)


def test_batch_size_is_global(config):
    with pytest.raises(ValueError, match='global_batch_size'):
        load_config(config, {'train_dataloader.batch_size': 4})


def test_environment_default(config, monkeypatch):
    config.write_text("work_dir = '{{$OPENMAGVIT2_TEST_DIR:somewhere}}'\n")
    assert load_config(config).work_dir == 'somewhere'
    monkeypatch.setenv('OPENMAGVIT2_TEST_DIR', 'elsewhere')
    assert load_config(config).work_dir == 'elsewhere'


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'custom_imports.imports': ['{name}']},
        {'custom_imports': dict(imports='{name}')},
        {'custom_imports.imports.0': '{name}'},
    ],
    ids=['in the file', 'in the options', 'as a dict', 'by position'],
)
def test_custom_import_beside_the_config(config, options, request):
    name = f'a_newcomer_{abs(hash(request.node.name))}'
    (config.parent / f'{name}.py').write_text(
        'from openmagvit2.models.quantizers import FSQ\nfrom openmagvit2.registry import '
        'QUANTIZERS\n\n\n'
        f'@QUANTIZERS.register_module()\nclass {name.title()}(FSQ):\n    pass\n'
    )
    inherited = name if not options else 'quopri'
    text = '' if 'custom_imports' in options else f"custom_imports = dict(imports=['{inherited}'])"
    config.write_text(f'{text}\n{BASE}')
    options = ast.literal_eval(repr(options).replace('{name}', name))
    quantizer = {'model.quantizer.type': name.title(), 'model.quantizer.levels': [3, 3]}
    loaded = load_config(config, options | quantizer)
    assert loaded.model.quantizer.type == name.title()


@pytest.mark.parametrize('names', [5, [5], '', ['.a'], ['a b'], None, {}])
def test_custom_imports_that_are_no_names_are_one_sentence(config, names):
    text = 'write custom_imports = dict.imports=.names of modules'
    with pytest.raises(UserError, match=text):
        load_config(config, {'custom_imports.imports': names})
    config.write_text(f'custom_imports = dict(imports={names!r})\n{BASE}')
    with pytest.raises(UserError, match=text):
        load_config(config)


def test_missing_file():
    with pytest.raises(ValueError, match=r'nowhere.py does not exist\.$'):
        load_config('nowhere.py')


def test_what_a_missing_file_may_have_meant(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    for given, meant in (
        ('configs/tiny/lfq32.py', 'configs/tiny/lfq_32.py'),
        ('lfq_32', 'configs/tiny/lfq_32.py'),
        ('lfq_256.py', 'configs/lfq_256.py'),
    ):
        with pytest.raises(ValueError, match=f'{given} does not exist; did you mean {meant}.$'):
            load_config(given)
    with pytest.raises(ValueError, match='configs/tiny is a folder; name a file in it'):
        load_config('configs/tiny')


def test_one_length_takes_the_place_of_the_other():
    config = load_config(CONFIGS / 'lfq_256.py', {'train_cfg.max_iters': 2})
    assert (config.train_cfg.max_iters, config.train_cfg.max_epochs) == (2, None)
    config = load_config(CONFIGS / 'tiny' / 'lfq_32.py', {'train_cfg.max_epochs': 3})
    assert (config.train_cfg.max_iters, config.train_cfg.max_epochs) == (None, 3)


def test_a_key_of_another_quantizer_is_explained():
    message = r'`model.quantizer.codebook_size`: LFQ has 2\^num_bits codes; set num_bits'
    with pytest.raises(ValueError, match=message):
        load_config(CONFIGS / 'tiny' / 'lfq_32.py', {'model.quantizer.codebook_size': 1000})
