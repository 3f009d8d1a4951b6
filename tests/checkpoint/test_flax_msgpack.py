"""Files of flax: what is read, and what is refused."""

import sys

import msgpack
import numpy as np
import pytest
import torch

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.errors import UserError


def packed(array: np.ndarray, code: int = 1, dtype: str | None = None) -> msgpack.ExtType:
    """Return an array as flax writes it."""
    content = (array.shape, dtype or array.dtype.name, array.tobytes())
    return msgpack.ExtType(code, msgpack.packb(content, use_bin_type=True))


def write(path, content):
    path.write_bytes(msgpack.packb(content, use_bin_type=True))
    return path


def test_arrays_by_joined_names(tmp_path):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    half = np.array([0x3F80, 0xC000], np.uint16)  # 1 and -2 in bfloat16
    content = dict(
        params=dict(Dense_0=dict(kernel=packed(kernel), bias=packed(half, dtype='bfloat16'))),
        step=packed(np.array(7, np.int32), code=3),
        none=packed(np.zeros((0, 3), np.float32)),
    )
    state = read_checkpoint(write(tmp_path / 'file', content))['state_dict']
    assert list(state) == ['params.Dense_0.kernel', 'params.Dense_0.bias', 'step', 'none']
    assert state['params.Dense_0.kernel'].equal(torch.from_numpy(kernel))
    assert state['params.Dense_0.bias'].tolist() == [1.0, -2.0]
    assert state['step'].item() == 7 and state['none'].shape == (0, 3)


ZEROS = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(a=msgpack.ExtType(2, b'code')), 'extension of type 2'),
        (dict(a=packed(ZEROS, dtype='object')), "array of type 'object'"),
        (dict(a=packed(ZEROS, dtype='float64')), r'shape \(3,\) has 12 bytes instead of 24'),
        (dict(a=dict(b='text')), 'b is a str instead of an array'),
        (dict(a={'__msgpack_chunked_array__': True}), 'in chunks'),
        (dict(a=msgpack.ExtType(1, b'\xc1')), 'cannot be read safely'),
    ],
)
def test_anything_else_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_checkpoint(write(tmp_path / 'file', content))


def test_a_cut_file_is_refused(tmp_path):
    path = write(tmp_path / 'file', dict(a=packed(ZEROS)))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match='cannot be read safely'):
        read_checkpoint(path)


@pytest.mark.parametrize('data', [b'\x81\xa1a' * 5000 + b'\x01', b'\x81\xa1a\xc1'])
def test_what_msgpack_says_nothing_of_has_a_reason(tmp_path, data):
    (tmp_path / 'file').write_bytes(data)
    with pytest.raises(UserError, match=r'read safely: \w.*; download it again\.$'):
        read_checkpoint(tmp_path / 'file')


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / 'file', dict(a=packed(ZEROS)))
    monkeypatch.setitem(sys.modules, 'msgpack', None)
    with pytest.raises(UserError, match=r'pip install "openmagvit2\[msgpack\]"'):
        read_checkpoint(path)
