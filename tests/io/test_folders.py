"""Output folders."""

import pytest

from openmagvit2.io import make_folder


def test_folders_are_made_and_left_empty(tmp_path):
    assert make_folder(tmp_path / 'a' / 'b') == tmp_path / 'a' / 'b'
    assert not list((tmp_path / 'a' / 'b').iterdir())


def test_a_place_below_a_file_is_named(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(
        ValueError, match='below is not writable .Not a directory.; choose another folder'
    ):
        make_folder(tmp_path / 'file' / 'below')
