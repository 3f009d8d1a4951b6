"""safetensors files that are written tensor by tensor equal those of the library."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from openmagvit2.checkpoint import dataset_meta, read_checkpoint, write_checkpoint
from openmagvit2.checkpoint.mapped import ReleasingFile, release


def test_the_bytes_are_the_librarys(tmp_path):
    tensors = {
        f'{name}.{dtype}'.replace('torch.', ''): torch.arange(6).reshape(2, 3).to(dtype)
        for name in ('b', 'a')
        for dtype in (torch.float32, torch.int64, torch.bfloat16, torch.float16, torch.bool)
    }
    tensors |= {
        'scalar': torch.tensor(2.5),
        'none': torch.zeros(0, 3),
        'turned': torch.ones(2, 3).T,
    }
    write_checkpoint(dict(state_dict=tensors), tmp_path / 'ours.safetensors')
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, tmp_path / 'theirs.safetensors', metadata=dict(format='pt'))
    ours, theirs = ((tmp_path / f'{x}.safetensors').read_bytes() for x in ('ours', 'theirs'))
    assert ours == theirs
    assert load_file(tmp_path / 'ours.safetensors')['scalar'] == 2.5


def test_names_of_classes_are_kept(tmp_path):
    content = dict(
        state_dict=dict(a=torch.zeros(2)), meta=dict(dataset_meta=dict(classes=['cat', 'öre']))
    )
    for ending in ('pth', 'safetensors'):
        write_checkpoint(content, tmp_path / f'a.{ending}')
        read = read_checkpoint(tmp_path / f'a.{ending}')
        assert dataset_meta(read) == dict(classes=['cat', 'öre'])


def test_released_pages_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr('openmagvit2.checkpoint.mapped.EVERY', 1 << 12)
    torch.save(dict(state_dict=dict(a=torch.arange(50_000))), tmp_path / 'a.pth')
    content = read_checkpoint(tmp_path / 'a.pth')
    release({str(tmp_path / 'a.pth')})
    write_checkpoint(content, tmp_path / 'b.pth', sources=[tmp_path / 'a.pth'])
    for name in ('a', 'b'):
        assert read_checkpoint(tmp_path / f'{name}.pth')['state_dict']['a'].equal(
            torch.arange(50_000)
        )
    with open(tmp_path / 'c', 'wb') as file:
        assert ReleasingFile(file, []).write(b'abc') == 3


@pytest.mark.parametrize('name', ['file.ckpt', 'file.bin', 'file'])
def test_a_file_with_another_ending(tmp_path, name):
    """The content determines the format."""
    save_file({'a': torch.ones(3)}, tmp_path / name)
    assert read_checkpoint(tmp_path / name)['state_dict']['a'].equal(torch.ones(3))
