"""Paths that the system refuses give one sentence everywhere, never a traceback."""

import os
import subprocess
import sys

import pytest

from openmagvit2.apis import Generator, Tokenizer, init_model
from openmagvit2.checkpoint import read_checkpoint, write_checkpoint
from openmagvit2.checkpoint.weights import find_weights
from openmagvit2.config import load_config
from openmagvit2.datasets import FashionMNIST, ImageFolder, ImageList, TokenCache
from openmagvit2.datasets.hugging_face_files import local_files
from openmagvit2.datasets.shards import find_shards
from openmagvit2.errors import UserError
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.io import claim, gather_images, make_folder, reading, usable, usable_text
from openmagvit2.workflows.convert import convert
from openmagvit2.workflows.tokenize import tokenize
from openmagvit2.workflows.train import train

CONFIG = 'tiny/lfq_32'
LONG = 'a' * 300
DOORS = {
    'config': load_config,
    'init_model': init_model,
    'checkpoint': lambda path: init_model(CONFIG, path),
    'Tokenizer': Tokenizer.from_pretrained,
    'Generator': Generator.from_pretrained,
    'weights': lambda path: find_weights('x', 'x', 'x', path),
    'source': lambda path: convert([path], 'b.pth', CONFIG),
    'work_dir': lambda path: train(load_config(f'configs/{CONFIG}.py'), path),
    'resume': lambda path: train(load_config(f'configs/{CONFIG}.py'), 'a', path),
    'tokens': lambda path: tokenize(load_config(f'configs/{CONFIG}.py'), None, path),
    'make_folder': make_folder,
    'claim': lambda path: claim(path, {}, 'a.json', '*', 'images'),
    'images': lambda path: gather_images([path]),
    'ImageSet': ImageSet,
    'ImageFolder': lambda path: ImageFolder(data_root=path),
    'ImageList': lambda path: ImageList(list_file=path),
    'FashionMNIST': lambda path: FashionMNIST(data_root=path),
    'TokenCache': lambda path: TokenCache(data_root=path),
    'shards': find_shards,
    'parquet': local_files,
}


@pytest.mark.parametrize('path', [LONG, 'abc/' * 1500 + 'a', 'a\0b'], ids=['long', 'deep', 'NUL'])
@pytest.mark.parametrize('door', DOORS.values(), ids=DOORS.keys())
def test_refused_by_the_system(door, path, tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_WEIGHTS', str(tmp_path))
    with pytest.raises(
        UserError, match=r'cannot be read \(File name too long\)|is not a path|a\\x00b'
    ):
        door(path)


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('train', [LONG]),
        ('evaluate_npz', ['a', 'b', '--out', LONG]),
        ('plot', [LONG]),
        ('ablate', [LONG, '--work-dir', 'a']),
        ('convert_checkpoint', [f'{LONG}.pth', 'b.pth', '--config', f'configs/{CONFIG}.py']),
        ('convert_tokens', [LONG, 'b', '--to', 'npy']),
    ],
)
def test_tools(tool, name, arguments):
    code, _, errors = tool(name, *arguments)
    assert code == 2 and errors.count('File name too long') == 1


def test_links_without_end(tmp_path):
    loop = tmp_path / 'loop'
    loop.symlink_to(loop)
    for path in (loop, loop / 'a'):
        with pytest.raises(UserError, match='loop.* cannot be read .Too many levels of symbolic'):
            usable(path)


def test_missing_files_are_left_to_the_caller(tmp_path):
    (tmp_path / 'file').write_text('a')
    for name in ('nothing', 'no/thing', 'file/thing', 'file'):
        assert usable(tmp_path / name) == tmp_path / name


@pytest.mark.parametrize('path', [3, 1e9, True, None, ['a']])
def test_what_is_no_path(path):
    with pytest.raises(UserError, match='is not a path; pass the path of a file or folder'):
        usable(path)


def test_names_that_are_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b'\xff.pth')
    path.write_bytes(b'a')
    assert usable(path) == path
    for call in (usable_text, read_checkpoint, make_folder):
        with pytest.raises(UserError, match=r'udcff.pth. is not UTF-8; choose another name.$'):
            call(path)
    with pytest.raises(UserError, match='is not a path'):
        usable('\ud800')


def test_a_locale_without_the_letters_of_a_path(tmp_path):
    code = 'import sys; from openmagvit2.io.paths import usable_text; usable_text(sys.argv[1])'
    environment = dict(os.environ, LC_ALL='C')
    said = [
        subprocess.run(
            [sys.executable, '-c', code, str(tmp_path / 'ü')],
            env=environment | dict(PYTHONUTF8=mode),
            stderr=subprocess.PIPE,
            text=True,
        ).stderr
        for mode in '01'
    ]
    assert said[1] == ''
    assert 'cannot be used where Python reads names as ascii; set PYTHONUTF8=1.' in said[0]


def test_no_permission(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr(os, 'stat', refuse)
    message = r'^/a/b cannot be read \(Permission denied\); change its permissions, or choose'
    with pytest.raises(UserError, match=message):
        usable('/a/b')
    with (
        pytest.raises(UserError, match='^c cannot be read .*, or choose another path'),
        reading('c'),
    ):
        refuse('c')


def test_a_name_in_a_list_of_images(tmp_path):
    (tmp_path / 'list.txt').write_text(f'{LONG}.png 0\n')
    with pytest.raises(UserError, match='names 1 files that do not exist'):
        ImageList(list_file=str(tmp_path / 'list.txt'), data_root=str(tmp_path))


def test_a_name_that_is_too_long_for_its_temporary_file(tmp_path):
    with pytest.raises(
        UserError, match='b.pth cannot be written .* is kept. Choose a shorter name.$'
    ):
        write_checkpoint(dict(state_dict={}), tmp_path / f'{"b" * 250}.pth')
    assert not list(tmp_path.iterdir())
