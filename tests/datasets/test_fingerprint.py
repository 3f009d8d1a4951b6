"""Before training, the images of cached tokens are checked for changes."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.datasets import TokenCache, tokens
from openmagvit2.errors import UserError
from openmagvit2.workflows.tokenize import tokenize

ROOT = Path(__file__).parents[2]


@pytest.fixture
def said(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(tokens, 'print_log', lambda text, logger: lines.append(text))
    return lines


@pytest.fixture
def generator(tmp_path):
    """A config of a generator with the tokenizer x.pth."""
    write_checkpoint(dict(state_dict=init_model('tiny/lfq_32').state_dict()), tmp_path / 'x.pth')
    options = {'model.tokenizer.checkpoint': str(tmp_path / 'x.pth')}
    model = init_model('tiny/ar_32', cfg_options=options)
    model.init_weights()
    return model


def tokens_of(folder: Path, **dataset) -> Path:
    dataset = dict(type='ImageFolder', data_root=str(folder / 'photos'), _delete_=True) | dataset
    options = {'train_dataloader.dataset': dataset}
    config = load_config(ROOT / 'configs' / 'tiny' / 'lfq_32.py', options)
    tokenize(config, folder / 'x.pth', folder / 'tokens')
    return folder / 'tokens'


def photo(path: Path, level: int = 0) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new('RGB', (32, 32), (level, 0, 0)).save(path)


def check(cache: Path, model, **options) -> None:
    TokenCache(data_root=str(cache), **options).check_model(model)


def test_images_that_have_changed_are_not_trained_on(tmp_path, generator, said):
    for i in range(3):
        photo(tmp_path / 'photos' / f'{i}.png', i)
    cache = tokens_of(tmp_path)
    check(cache, generator)
    os.utime(tmp_path / 'photos' / '1.png', (1, 1))
    with pytest.raises(UserError, match='have changed since .* with another --out, or set the'):
        check(cache, generator)
    check(cache, generator, check_images=False)
    assert not said
    shutil.rmtree(tmp_path / 'photos')
    check(cache, generator)
    assert len(said) == 1 and f'have changed: Folder {tmp_path / "photos"} does not' in said[0]


def test_unreadable_images_are_part_of_the_fingerprint(tmp_path, generator, said):
    """With on_error='skip', no image is read for the check."""
    photo(tmp_path / 'photos' / '0.png')
    (tmp_path / 'photos' / '1.png').write_bytes(b'none')
    cache = tokens_of(tmp_path, on_error='skip')
    check(cache, generator)
    # Another unreadable file changes no token: the command says so, and training continues.
    (tmp_path / 'photos' / '2.png').write_bytes(b'none')
    with pytest.raises(UserError, match='have changed since'):
        check(cache, generator)
    tokens_of(tmp_path, on_error='skip')
    check(cache, generator)
    photo(tmp_path / 'photos' / '2.png')
    with pytest.raises(UserError, match='have changed since'):
        tokens_of(tmp_path, on_error='skip')
    assert not said


def test_caches_of_before(tmp_path, generator, said):
    """Headers of old caches have only the fingerprint, which lacks unreadable files."""
    photo(tmp_path / 'photos' / '0.png')
    header = tokens_of(tmp_path) / 'header.json'
    content = json.loads(header.read_text())
    del content['listing']
    header.write_text(json.dumps(content))
    check(header.parent, generator)
    content['recipe']['dataset']['on_error'] = 'skip'
    header.write_text(json.dumps(content))
    check(header.parent, generator)
    assert len(said) == 1 and 'the cache has no fingerprint of them' in said[0]


@pytest.mark.parametrize(
    'recipe',
    [
        dict(dataset=dict(type='os.system', command='touch {target}')),
        dict(dataset=dict(type='subprocess.check_call', args=['touch', '{target}'])),
        dict(dataset=dict(type=['ImageFolder'])),
        dict(dataset=dict(type='ImageFolder', data_root=3)),
        dict(dataset=[]),
        [],
    ],
)
def test_a_header_calls_nothing(tmp_path, generator, said, recipe):
    photo(tmp_path / 'photos' / '0.png')
    header = tokens_of(tmp_path) / 'header.json'
    target = tmp_path / 'executed'
    text = json.dumps(recipe).replace('{target}', str(target))
    content = json.loads(header.read_text()) | dict(recipe=json.loads(text))
    header.write_text(json.dumps(content))
    check(header.parent, generator)
    assert len(said) == 1 and not target.exists()
