"""Model folders load again after saving, and nothing in an untrusted folder is executed."""

import json
import os
import sys

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open

from openmagvit2.apis import Generator, Tokenizer, init_model, official
from openmagvit2.apis.models import config_path
from openmagvit2.checkpoint import to_official, write_checkpoint
from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.errors import UserError
from openmagvit2.registry import QUANTIZERS

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / 'model')
    return tmp_path / 'model'


def test_tokenizer_goes_through_a_folder(tokenizer, folder):
    again = Tokenizer.from_pretrained(folder, device='cpu')
    indices = tokenizer.encode(IMAGES)
    assert again.encode(IMAGES).equal(indices)
    np.testing.assert_array_equal(again.decode(indices), tokenizer.decode(indices))
    assert {path.name for path in folder.iterdir()} == {
        'config.json',
        'model.safetensors',
        'README.md',
    }
    with safe_open(folder / 'model.safetensors', 'pt') as file:
        assert not [name for name in file.keys() if 'discriminator' in name]  # noqa: SIM118
    front = (folder / 'README.md').read_text().split('---')[1]
    assert yaml.safe_load(front) == dict(library_name='openmagvit2', tags=['image-tokenizer'])


@pytest.mark.parametrize('size', ['5GB', '100KB'])
def test_weights_of_another_hash_are_refused(tokenizer, tmp_path, size):
    tokenizer.save_pretrained(tmp_path, max_shard_size=size)
    path = sorted(tmp_path.glob('*.safetensors'))[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'its weights do not have the hash in config\.json'):
        Tokenizer.from_pretrained(tmp_path, device='cpu')
    config = json.loads((tmp_path / 'config.json').read_text())
    del config['weights_sha256']
    (tmp_path / 'config.json').write_text(json.dumps(config))
    assert Tokenizer.from_pretrained(tmp_path, device='cpu')


def test_the_model_card_imports_users_parts_first(tmp_path, monkeypatch):
    name = 'parts_for_a_card'
    (tmp_path / f'{name}.py').write_text(
        'from openmagvit2.models.quantizers import FSQ\n'
        'from openmagvit2.registry import QUANTIZERS\n\n\n'
        '@QUANTIZERS.register_module()\nclass CardFSQ(FSQ):\n    """Like its base class."""\n'
    )
    (tmp_path / 'own.py').write_text(
        f"_base_ = '{config_path('tiny/fsq_32')}'\ncustom_imports = dict(imports='{name}')\n"
        f"model = dict(quantizer=dict(type='CardFSQ'))\n"
    )
    monkeypatch.setattr(sys, 'path', list(sys.path))
    try:
        door = Tokenizer.from_config(tmp_path / 'own.py', device='cpu')
        door.save_pretrained(tmp_path / 'model')
    finally:
        QUANTIZERS.module_dict.pop('CardFSQ', None)
    code = (tmp_path / 'model' / 'README.md').read_text().split('```')[1].splitlines()
    assert code[1:3] == [
        f'import {name}  # registers parts of this model',
        'from openmagvit2.apis import Tokenizer',
    ]


def test_a_tokenizer_inside_of_the_pixels_goes_along(tmp_path):
    tokenizer = Tokenizer.from_config('tiny/titok_stage1_32', device='cpu')
    tokenizer.save_pretrained(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path, device='cpu')
    indices = tokenizer.encode(IMAGES)
    assert again.encode(IMAGES).equal(indices)
    np.testing.assert_array_equal(again.decode(indices), tokenizer.decode(indices))


def test_generator_in_shards_keeps_its_samples_settings_and_names(tmp_path):
    torch.manual_seed(0)
    generator = Generator.from_config('tiny/ar_32', device='cpu')
    generator.model.dataset_meta = dict(classes=[f'class {i}' for i in range(10)])
    generator.save_pretrained(tmp_path, max_shard_size='100KB')
    assert len(list(tmp_path.glob('model-*.safetensors'))) > 2
    again = Generator.from_pretrained(tmp_path, device='cpu')
    np.testing.assert_array_equal(again.sample([3, 7], seed=1), generator.sample([3, 7], seed=1))
    assert again.sampling == generator.sampling and again.class_names[3] == 'class 3'
    # Saving a smaller model in the same folder removes all parts of the first.
    generator.save_pretrained(tmp_path)
    assert not list(tmp_path.glob('model-*')) and not list(tmp_path.glob('*.index.json'))


@pytest.mark.parametrize(
    ('path', 'value', 'named'),
    [
        ('model.quantizer.type', 'os.system', 'os.system'),
        ('model.encoder._scope_', 'mmengine', '_scope_'),
        ('model.encoder.init_cfg', {'type': 'Pretrained'}, 'init_cfg'),
        ('model.encoder.channels', '../../secret', 'secret'),
        ('model.type', 'CheckpointHook', 'CheckpointHook'),
        ('custom_imports', {'imports': ['os']}, 'custom_imports'),
        ('model.encoder.chanels', 32, 'chanels'),
        ('weights', 3, 'weights'),
        ('model.encoder.channels', float('nan'), 'channels must be a plain value'),
        ('model.encoder.channels', 10**30, 'channels is 10+, beyond 16777216'),
        ('model.encoder.channels', 32 * 10**5, 'does not fit this config'),
        ('model.encoder.channels', -32, 'channels must be a positive integer, got -32'),
        ('model.encoder.num_res_blocks', 10**9, 'num_res_blocks is 10+, beyond 16777216'),
        ('model.encoder.num_res_blocks', 10**7, 'num_res_blocks is 10+, more than 128'),
        ('model.decoder.channel_multipliers', [1] * 999, 'has 999 entries, more than 128'),
        ('model.encoder.channel_multipliers', [1] * 70_000, 'channel_multipliers has 70000'),
        ('model.quantizer.type', 'PatchGAN', 'PatchGAN'),
    ],
)
def test_hostile_config_is_refused_by_name(folder, path, value, named):
    file = folder / 'config.json'
    config = json.loads(file.read_text())
    *parents, last = path.split('.')
    node = config
    for key in parents:
        node = node[key]
    node[last] = value
    file.write_text(json.dumps(config))
    with pytest.raises(UserError, match=named):
        Tokenizer.from_pretrained(folder)


HOSTILE = 'a_module_that_nobody_wants'


@pytest.mark.parametrize('word', [HOSTILE, f'{HOSTILE}.Part'])
@pytest.mark.parametrize('path', ['encoder', 'encoder.x', 'type', 'encoder.type', 'pixels.x.type'])
def test_words_of_a_config_import_no_module(folder, tmp_path, monkeypatch, word, path):
    (tmp_path / f'{HOSTILE}.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    config = json.loads((folder / 'config.json').read_text())
    node, (*parents, last) = config['model'], path.split('.')
    for part in parents:
        node[part] = {} if part == 'pixels' or last == 'x' else node.get(part, {})
        node = node[part]
    node[last] = word
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(UserError):
        Tokenizer.from_pretrained(folder, device='cpu')
    assert HOSTILE not in sys.modules


def test_the_config_in_a_checkpoint_imports_no_module(tokenizer, tmp_path, monkeypatch):
    (tmp_path / f'{HOSTILE}.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    text = f"model = dict(type='{HOSTILE}.Part', encoder=dict(type='{HOSTILE}'))"
    content = dict(state_dict=tokenizer.model.state_dict(), meta=dict(cfg=text))
    write_checkpoint(content, tmp_path / 'a.pth')
    assert init_model('tiny/lfq_32', tmp_path / 'a.pth')
    assert HOSTILE not in sys.modules


@pytest.mark.parametrize('kind', ['os.system', 'subprocess.getoutput', 'SubTokenSampler'])
def test_hostile_sampling_runs_nothing(tmp_path, kind):
    """A dotted name in the settings for sampling would be imported and called."""
    Generator.from_config('tiny/ar_32', device='cpu').save_pretrained(tmp_path / 'model')
    file, target = tmp_path / 'model' / 'config.json', tmp_path / 'executed'
    config = json.loads(file.read_text())
    for key in ('command', 'cmd'):
        sampling = {'type': kind, key: f'touch {target}'}
        file.write_text(json.dumps(config | dict(eval_sampling=sampling)))
        with pytest.raises(UserError, match=f'eval_sampling.type is .{kind}|{key} is .*a path'):
            Generator.from_pretrained(tmp_path / 'model')
    assert not target.exists()


def test_hostile_index_is_refused(folder):
    (folder / 'model.safetensors.index.json').write_text(
        json.dumps(dict(weight_map=dict(a='../other.safetensors')))
    )
    with pytest.raises(UserError, match='other.safetensors'):
        Tokenizer.from_pretrained(folder)


def test_folder_without_a_model_and_names_that_are_none(tmp_path):
    with pytest.raises(UserError, match='no config.json'):
        Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(UserError, match='neither a folder nor a repository'):
        Tokenizer.from_pretrained('nothing')


def test_a_hub_that_is_not_reached_is_one_sentence(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError('no network\nmore')

    monkeypatch.setattr('huggingface_hub.snapshot_download', offline)
    with pytest.raises(
        UserError, match=r'someone/model cannot be downloaded .*: no network; check'
    ):
        Tokenizer.from_pretrained('someone/model')


def test_push_uploads_the_folder(tokenizer, monkeypatch):
    sent = {}

    class Hub:
        def __init__(self, token=None):
            sent['token'] = token

        def create_repo(self, name, **options):
            sent['repository'] = (name, options)

        def upload_folder(self, folder_path, **options):
            sent['config'] = json.loads(open(f'{folder_path}/config.json').read())
            return 'address'

    monkeypatch.setattr('huggingface_hub.HfApi', Hub)
    assert tokenizer.push_to_hub('someone/model', private=True, token='t') == 'address'
    assert sent['repository'] == ('someone/model', dict(private=True, exist_ok=True))
    assert sent['token'] == 't' and sent['config']['name'] == 'tiny/lfq_32'


def test_published_weights_by_name(tmp_path, monkeypatch, tokenizer):
    state = tokenizer.model.state_dict()
    converted, _ = to_official(dict(state_dict=state), tokenizer.model)
    file = tmp_path / 'official.ckpt'
    write_checkpoint(converted, file)
    entry = dict(file='official.ckpt', repository='someone/model', sha256=file_hash(file))
    monkeypatch.setattr(official, 'model_info', lambda name: dict(official=entry))
    monkeypatch.setattr('huggingface_hub.hf_hub_download', lambda *a, **k: str(file))
    model = init_model('tiny/lfq_32', pretrained=True, device='cpu')
    assert all(model.state_dict()[k].equal(v) for k, v in state.items() if 'coder' in k)
    entry['sha256'] = '0' * 64
    with pytest.raises(UserError, match=r'not the published official\.ckpt of someone/model: '):
        init_model('tiny/lfq_32', pretrained=True)
    entry['repository'] = 'https://somewhere/else'
    with pytest.raises(UserError, match='manually, then python .* official.ckpt OUT.pth'):
        init_model('tiny/lfq_32', pretrained=True)
    entry['file'] = 'official.zip (model.ckpt)'
    with pytest.raises(UserError, match='manually, then python .*checkpoint.py FILE OUT.pth'):
        init_model('tiny/lfq_32', pretrained=True)


def test_a_published_transformer_gets_its_tokenizer(tmp_path, monkeypatch):
    torch.manual_seed(1)
    tokenizer = init_model('tiny/llamagen_vq_32', device='cpu')
    write_checkpoint(dict(state_dict=tokenizer.state_dict()), tmp_path / 'tokenizer.pth')
    generator = init_model('tiny/ar_llamagen_32', device='cpu')
    converted, _ = to_official(dict(state_dict=generator.state_dict()), generator)
    write_checkpoint(converted, tmp_path / 'official.pt')
    entry = dict(file='official.pt', repository='someone/model', sha256=None)
    monkeypatch.setattr(official, 'model_info', lambda name: dict(official=entry))
    monkeypatch.setattr('huggingface_hub.hf_hub_download', lambda *a, **k: str(tmp_path / a[1]))
    given = {'model.tokenizer.checkpoint': str(tmp_path / 'tokenizer.pth')}
    model = init_model('tiny/ar_llamagen_32', device='cpu', cfg_options=given, pretrained=True)
    own = tokenizer.state_dict()
    assert all(own[name].equal(x) for name, x in model.tokenizer.state_dict().items())
    assert model.backbone.blocks[0].attention.wqkv.weight.equal(
        generator.backbone.blocks[0].attention.wqkv.weight
    )
    given['model.tokenizer.checkpoint'] = 'no/such.pth'
    with pytest.raises(UserError, match=r'no/such\.pth does not exist'):
        init_model('tiny/ar_llamagen_32', device='cpu', cfg_options=given, pretrained=True)


def test_model_given_alone_has_no_config(tokenizer, tmp_path):
    with pytest.raises(UserError, match='from_config'):
        Tokenizer(tokenizer.model).save_pretrained(tmp_path)


@pytest.mark.parametrize('name', ['config.json', 'model.safetensors'])
@pytest.mark.parametrize('kind', ['pipe', 'device'])
def test_pipes_and_devices_are_not_read(folder, name, kind):
    """Reading a pipe would wait, and reading a device would never end."""
    (folder / name).unlink()
    if kind == 'pipe':
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to('/dev/zero')
    with pytest.raises(UserError, match=f'{name} (is not a file|does not exist)'):
        Tokenizer.from_pretrained(folder, device='cpu')


@pytest.mark.parametrize('text', ['[' * 10**5, '[]', '5', '{"weight_map": ["a"]}', ''])
def test_an_index_that_is_none_is_one_sentence(folder, text):
    (folder / 'model.safetensors.index.json').write_text(text)
    with pytest.raises(UserError, match=r'index\.json is damaged'):
        Tokenizer.from_pretrained(folder, device='cpu')
