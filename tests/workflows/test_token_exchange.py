"""Conversion of token caches to LlamaGen's and RAR's files and back."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.datasets import TokenCache
from openmagvit2.errors import UserError
from openmagvit2.workflows.token_exchange import export_tokens, import_tokens

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'
FILES = ('header.json', 'labels.npy', 'tokens.bin')
RNG = np.random.default_rng(0)


def make(folder: Path, grid: list[int], codebook_size, dtype: str) -> np.ndarray:
    """Write a cache of 12 images with two views."""
    tokens = RNG.integers(0, np.min(codebook_size), (12, 2, *grid)).astype(dtype)
    header = dict(
        format=1,
        num_images=12,
        num_views=2,
        grid=grid,
        dtype=dtype,
        codebook_size=codebook_size,
        classes=['a', 'b', 'ç'],
        recipe=dict(crops='random:2'),
        tokenizer=dict(config={}, checkpoint='a.pth'),
        tokenizer_hash='0',
        finished=True,
    )
    folder.mkdir()
    (folder / 'header.json').write_text(json.dumps(header, indent=2) + '\n')
    np.save(folder / 'labels.npy', np.arange(12) % 3 - 1)
    (folder / 'tokens.bin').write_bytes(tokens.tobytes())
    return tokens


@pytest.mark.parametrize('name', ['llamagen', 'rar/pretokenized.jsonl', 'codes/0.npy'])
def test_a_missing_source_is_reported_as_missing(tmp_path, name):
    with pytest.raises(UserError, match=f'^{tmp_path / name} does not exist; pass a folder of npy'):
        import_tokens(tmp_path / name, tmp_path / 'out')
    with pytest.raises(
        UserError, match=f'^TokenCache: the folder {tmp_path / name} does not exist;'
    ):
        export_tokens(tmp_path / name, tmp_path / 'out', 'npy')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('to', ['npy', 'jsonl'])
@pytest.mark.parametrize(
    ('grid', 'size', 'dtype'), [([4, 4], 300, 'uint16'), ([2, 3, 2], [7, 250], 'uint8')]
)
def test_out_and_in_again_bit_for_bit(tmp_path, to, grid, size, dtype):
    make(tmp_path / 'cache', grid, size, dtype)
    assert export_tokens(tmp_path / 'cache', tmp_path / 'out', to) == 12
    import_tokens(tmp_path / 'out', tmp_path / 'again')
    for name in FILES:
        again = (tmp_path / 'again' / name).read_bytes()
        assert again == (tmp_path / 'cache' / name).read_bytes(), name


def test_files_are_those_that_the_other_code_bases_read(tmp_path):
    tokens = make(tmp_path / 'cache', [4, 4], 300, 'uint16')
    export_tokens(tmp_path / 'cache', tmp_path / 'npy', 'npy', 'imagenet32')
    codes = np.load(tmp_path / 'npy' / 'imagenet32_codes' / '7.npy')
    label = np.load(tmp_path / 'npy' / 'imagenet32_labels' / '7.npy')
    assert codes.dtype == label.dtype == np.int64
    assert codes.tolist() == [tokens[7].reshape(2, 16).tolist()] and label.tolist() == [0]
    export_tokens(tmp_path / 'cache', tmp_path / 'jsonl', 'jsonl')
    lines = (tmp_path / 'jsonl' / 'pretokenized.jsonl').read_text().splitlines()
    assert len(lines) == 24
    assert json.loads(lines[15]) == dict(class_id=0, tokens=tokens[7, 1].ravel().tolist())


@pytest.fixture(scope='module')
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp('tokenizer') / 'tokenizer.pth'
    write_checkpoint(dict(state_dict=init_model(CONFIG).state_dict()), path)
    return load_config(CONFIG), str(path)


def foreign(folder: Path, top: int = 256) -> Path:
    """Write LlamaGen's files of three images without a header, like another program."""
    for kind in ('codes', 'labels'):
        (folder / f'imagenet32_{kind}').mkdir(parents=True)
    for i in range(3):
        np.save(folder / 'imagenet32_codes' / f'{i}.npy', RNG.integers(0, top, (1, 2, 64)))
        np.save(folder / 'imagenet32_labels' / f'{i}.npy', np.array([i]))
    return folder


def test_names_stay_in_the_folder(tmp_path):
    make(tmp_path / 'cache', [4, 4], 256, 'uint16')
    with pytest.raises(UserError, match='--name'):
        export_tokens(tmp_path / 'cache', tmp_path / 'out', 'npy', '../x')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['cache']


def test_files_of_other_programs(tmp_path, tokenizer):
    source = foreign(tmp_path / 'codes')
    with pytest.raises(ValueError, match='has no header.json next to it; pass the tokenizer'):
        import_tokens(source, tmp_path / 'cache')
    header = import_tokens(source, tmp_path / 'cache', *tokenizer, size=32)
    assert (header['num_images'], header['num_views'], header['grid']) == (3, 2, [8, 8])
    cache = TokenCache(data_root=str(tmp_path / 'cache'))
    codes = np.load(source / 'imagenet32_codes' / '1.npy')
    assert cache[1]['indices'].flatten().tolist() in codes[0].tolist() and cache[1]['label'] == 1
    lines = [json.dumps(dict(class_id=4, tokens=[0] * 64))] * 4
    (tmp_path / 'a.jsonl').write_text('\n'.join(lines))
    header = import_tokens(tmp_path / 'a.jsonl', tmp_path / 'lines', *tokenizer, size=32, views=2)
    assert (header['num_images'], header['num_views']) == (2, 2)


@pytest.mark.parametrize('name', ['config', 'checkpoint', 'size', 'views'])
def test_a_header_makes_other_options_an_error(tmp_path, tokenizer, name, monkeypatch, capsys):
    make(tmp_path / 'cache', [4, 4], 300, 'uint16')
    export_tokens(tmp_path / 'cache', tmp_path / 'out', 'jsonl')
    value = dict(config=tokenizer[0], checkpoint=tokenizer[1], size=32, views=2)[name]
    with pytest.raises(UserError, match=rf'out/header\.json records .*; leave out --{name}'):
        import_tokens(tmp_path / 'out', tmp_path / 'again', **{name: value})
    assert not (tmp_path / 'again').exists()
    words = [str(tmp_path / 'cache'), str(tmp_path / 'x'), '--to', 'npy', f'--{name}', '1']
    monkeypatch.setattr(sys, 'argv', ['convert_tokens.py', *words])
    main = runpy.run_path(str(CONFIG.parents[2] / 'tools' / 'convert_tokens.py'))['main']
    assert main() == 2
    assert f'--{name} is for making a cache' in capsys.readouterr().err


def test_mistakes(tmp_path, tokenizer):
    with pytest.raises(ValueError, match='Image 0 has tokens outside 0 to 255'):
        import_tokens(foreign(tmp_path / 'a', 9999), tmp_path / 'cache', *tokenizer, size=32)
    with pytest.raises(ValueError, match='has .2, 64. .views, tokens., but the header'):
        import_tokens(tmp_path / 'a', tmp_path / 'cache', *tokenizer, size=16)
    with pytest.raises(ValueError, match='must contain one folder <name>_codes'):
        import_tokens(tmp_path, tmp_path / 'cache', *tokenizer, size=32)
    for text, reason in (
        ('{"tokens": [1]}', 'line 1 is not {"class_id"'),
        ('{"class_id": 1, "tokens": [0.5]}', 'line 1: class_id and tokens must be integers'),
        ('{"class_id": 1, "tokens": [1, 1, 1, 1]}\n' * 3, 'not divisible by 2 views; correct'),
    ):
        (tmp_path / 'a.jsonl').write_text(text)
        with pytest.raises(ValueError, match=reason):
            import_tokens(tmp_path / 'a.jsonl', tmp_path / 'x', *tokenizer, size=8, views=2)
    (tmp_path / 'a.jpg').write_bytes(b'\xff\xd8\xff\xe0 a photograph')
    with pytest.raises(UserError, match='a.jpg is not a jsonl file, because it is not UTF-8'):
        import_tokens(tmp_path / 'a.jpg', tmp_path / 'x', *tokenizer, size=8)
    for given in (dict(views=0), dict(size=-32), dict(size=0)):
        with pytest.raises(UserError, match=f'--{next(iter(given))} must be a positive integer'):
            import_tokens(tmp_path / 'a.jsonl', tmp_path / 'x', *tokenizer, **given)
    with pytest.raises(UserError, match='The image is 33x33; height and width must be divisible'):
        import_tokens(tmp_path / 'a', tmp_path / 'x', *tokenizer, size=33)
    make(tmp_path / 'whole', [2, 2], 9, 'uint8')
    with pytest.raises(ValueError, match='whole contains files; choose an empty or a new folder'):
        export_tokens(tmp_path / 'whole', tmp_path / 'whole', 'npy')


@pytest.mark.parametrize(
    ('tokens', 'label', 'message'),
    [
        (np.zeros((1, 0, 64), np.int64), 0, r'have the shapes \(1, 0, 64\) and \(1,\) instead'),
        (np.zeros((1, 1, 64), np.int64), 2**63, '9223372036854775808, which is not a class'),
    ],
)
def test_a_cache_that_nothing_could_read_is_not_made(tmp_path, tokenizer, tokens, label, message):
    for folder, array in (('a_codes', tokens), ('a_labels', np.array([label], np.uint64))):
        (tmp_path / 'in' / folder).mkdir(parents=True)
        np.save(tmp_path / 'in' / folder / '0.npy', array)
    with pytest.raises(UserError, match=message):
        import_tokens(tmp_path / 'in', tmp_path / 'out', *tokenizer, size=32)
    assert not (tmp_path / 'out' / 'header.json').exists()
