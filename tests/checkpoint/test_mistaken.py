"""Errors state what files are that users mistake for checkpoints."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.errors import UserError


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new('RGB', (4, 4)).save(file, kind)
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def zipped() -> bytes:
    """Return a checkpoint in an archive, like latent diffusion's vq-f8.zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as content:
        content.writestr('model.ckpt', torn())
    return file.getvalue()


def tar(mode: str) -> bytes:
    """Return two checkpoints in an archive, like RQ's imagenet_480M.tar.gz."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as content:
        for stage in ('stage1/model.pt', 'stage2/model.pt'):
            content.addfile(tarfile.TarInfo(stage))
    return file.getvalue()


def array_archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, np.zeros(3))
    return file.getvalue()


def torn() -> bytes:
    file = io.BytesIO()
    torch.save(dict(state_dict=dict(a=torch.zeros(1000))), file)
    return file.getvalue()[:2000]


LFS = b'version https://git-lfs.github.com/spec/v1\noid sha256:b806\nsize 7071660\n'


@pytest.mark.parametrize('name', ['a.pth', 'a.safetensors'])
@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty; copy or download it again'),
        (LFS, 'is not a checkpoint: it is a pointer of Git LFS; download the file itself, as'),
        (b'<!DOCTYPE html><html>', 'is not a checkpoint: it is a web page; download the file'),
        (picture('PNG'), 'is not a checkpoint: it is a picture; name a checkpoint'),
        (picture('JPEG'), 'is not a checkpoint: it is a picture; name a checkpoint'),
        (array(), 'is not a checkpoint: it is an array of NumPy; name a checkpoint'),
        (zipped(), r'is not a checkpoint: it is an archive \(model.ckpt\); unpack it and name'),
        (array_archive(), r'is not a checkpoint: it is an archive \(arr_0.npy\); unpack it'),
        (tar('w'), 'is not a checkpoint: it is an archive; unpack it and name the checkpoint in'),
        (tar('w:gz'), 'is not a checkpoint: it is an archive; unpack it and name'),
        (tar('w:bz2'), 'is not a checkpoint: it is an archive; unpack it and name'),
        (tar('w:xz'), 'is not a checkpoint: it is an archive; unpack it and name'),
        (b'hello', "is not a checkpoint: it is a text that begins with 'hello'"),
        ('über\nä'.encode()[:-1], "is not a checkpoint: it is a text that begins with 'über'"),
    ],
)
def test_files_of_other_kinds(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f'{tmp_path / name} {message}'):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (bytes(range(200, 256)), r'it is damaged, or not a file of torch.save \('),
        (torn(), r'it is damaged, or not a file of torch.save \(PytorchStreamReader failed'),
        # The first byte of a msgpack map, without a key after it.
        (b'\x89\x01' + bytes(30), r'it is damaged, or not a file of torch.save \('),
    ],
)
def test_anything_else(tmp_path, content, message):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(UserError, match=f'^Checkpoint .*/a.pth cannot be read safely: {message}'):
        read_checkpoint(tmp_path / 'a.pth')
