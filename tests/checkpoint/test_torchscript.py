"""Tensors are read from TorchScript archives without executing code."""

import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch
from torch import nn

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.errors import UserError


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU())
        self.register_buffer('table', torch.arange(6).view(2, 3).T)

    def forward(self, x):
        return self.layers(x) + self.table.sum()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_same_tensors_as_the_archive(tmp_path, dtype):
    model = Small().to(dtype)
    torch.jit.trace(model, torch.zeros(1, 3, 4, 4, dtype=dtype)).save(tmp_path / 'model.jit')
    state = read_checkpoint(tmp_path / 'model.jit')['state_dict']
    expected = model.state_dict()
    assert state.keys() == expected.keys()
    assert all(state[k].equal(x) and state[k].dtype == x.dtype for k, x in expected.items())


class Hostile:
    def __reduce__(self):
        return print, ('run',)


@pytest.mark.parametrize('content', [Hostile(), OrderedDict(a=Hostile())])
def test_code_is_refused(tmp_path, content, capsys):
    with zipfile.ZipFile(tmp_path / 'bad.jit', 'w') as archive:
        archive.writestr('bad/data.pkl', pickle.dumps(content, 2))
        archive.writestr('bad/constants.pkl', b'')
    with pytest.raises(UserError, match=r'__builtin__.print|builtins.print'):
        read_checkpoint(tmp_path / 'bad.jit')
    assert 'run' not in capsys.readouterr().out
