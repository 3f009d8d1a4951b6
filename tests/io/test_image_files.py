"""Which files are images, in which order, and which ones a command line names."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from openmagvit2.errors import UserError
from openmagvit2.io import ENDINGS, find_images, gather_images, image_files
from openmagvit2.visualization import save_grid

PIXEL = np.zeros((1, 1, 3), np.uint8)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'')


def names(folder):
    return [path.relative_to(folder).as_posix() for path in find_images(folder)]


def test_all_endings_in_any_case(tmp_path):
    wanted = [f'{i:02d}{ending}' for i, ending in enumerate(ENDINGS)]
    wanted += [f'{i:02d}{ending.upper()}' for i, ending in enumerate(ENDINGS, len(ENDINGS))]
    touch(tmp_path, *wanted, 'x.txt', 'x.npz', 'Thumbs.db', 'jpg', 'x.jpg.bak')
    assert names(tmp_path) == wanted


def test_order_is_folder_by_folder_by_code_points(tmp_path):
    # 'e' with an accent, in both forms that file systems store.
    touch(tmp_path, 'a-b.png', 'a/b.png', 'B.png', '10.png', '2.png', 'e\u0301b.png', '\xe9a.png')
    found = ['10.png', '2.png', 'B.png', 'a/b.png', 'a-b.png', '\xe9a.png', 'e\u0301b.png']
    assert names(tmp_path) == found


def test_links_are_followed_but_not_around(tmp_path):
    touch(tmp_path, 'x/1.png', 'y/2.png', 'other/3.png')
    (tmp_path / 'x' / 'up').symlink_to(tmp_path)
    (tmp_path / 'x' / 'y').symlink_to(tmp_path / 'y')
    (tmp_path / 'y' / 'x').symlink_to(tmp_path / 'x')
    assert names(tmp_path / 'x') == ['1.png', 'up/other/3.png', 'up/y/2.png', 'y/2.png']
    (tmp_path / 'root').symlink_to(tmp_path / 'other')
    assert names(tmp_path / 'root') == ['3.png']


def test_a_link_to_nothing_is_reported(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(image_files, 'print_log', lambda text, *_: logged.append(text))
    touch(tmp_path, 'a.png')
    (tmp_path / 'part').symlink_to(tmp_path / 'gone')
    (tmp_path / 'b.png').symlink_to(tmp_path / 'gone.png')
    assert names(tmp_path) == ['a.png', 'b.png']
    assert logged == [f'{tmp_path / "part"} is a broken link and is skipped.']


def test_what_is_no_file_is_no_image(tmp_path):
    touch(tmp_path, 'a.png', 'b.jpg/c.png')
    if hasattr(os, 'mkfifo'):
        os.mkfifo(tmp_path / 'pipe.png')
    assert names(tmp_path) == ['a.png', 'b.jpg/c.png']


def test_only_our_own_grid_is_left_out(tmp_path):
    save_grid([[PIXEL]], tmp_path)
    with pytest.raises(UserError, match='holds no images'):
        find_images(tmp_path)
    # With another name, it is an image.
    (tmp_path / 'renamed.png').write_bytes((tmp_path / 'grid.png').read_bytes())
    assert names(tmp_path) == ['renamed.png']
    Image.fromarray(PIXEL).save(tmp_path / 'grid.png')
    assert names(tmp_path) == ['grid.png', 'renamed.png']


def test_hidden_folders_may_be_named(tmp_path):
    touch(tmp_path, '.cache/a.png', '.cache/.b.png')
    with pytest.raises(UserError, match='holds no images'):
        find_images(tmp_path)
    assert names(tmp_path / '.cache') == ['a.png']
    assert gather_images([f'{tmp_path}/.cache/*.png']) == [tmp_path / '.cache' / 'a.png']


def test_an_existing_path_is_no_pattern(tmp_path, monkeypatch):
    touch(tmp_path, 'photo [1].jpg', 'photo 1.jpg', 'set[a]/x.png', 'seta/y.png', 'data.raw')
    monkeypatch.chdir(tmp_path)
    found = gather_images(['photo [1].jpg', 'set[a]', 'photo ?.jpg', 'data.raw'])
    assert [path.as_posix() for path in found] == [
        'photo [1].jpg',
        'set[a]/x.png',
        'photo 1.jpg',
        'data.raw',
    ]
    touch(tmp_path, 'deep/@eaDir/x.jpg', 'deep/b.jpg/z.PNG', 'deep/.x.jpg', 'deep/x.txt')
    assert [path.as_posix() for path in gather_images(['deep/**'])] == ['deep/b.jpg/z.PNG']


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('nothing.png', 'nothing.png does not exist.'),
        ('nothing*.png', 'nothing.*png does not exist and, as a pattern, matches no images.'),
        ('empty', 'Folder empty holds no images .*.jpg'),
    ],
)
def test_mistakes(tmp_path, monkeypatch, path, message):
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        gather_images([path])


@pytest.mark.skipif(sys.platform == 'win32', reason='POSIX permissions')
@pytest.mark.skipif(hasattr(os, 'geteuid') and os.geteuid() == 0, reason='root may read all')
def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    touch(tmp_path, 'closed/a.png')
    (tmp_path / 'closed').chmod(0)
    with pytest.raises(UserError, match='closed cannot be listed: Permission denied'):
        find_images(tmp_path)


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    with pytest.raises(UserError, match=r'a\.png is a pipe or a device; pass a regular file\.'):
        gather_images([tmp_path / 'a.png'])
