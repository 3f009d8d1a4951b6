"""Untrusted checkpoints: nothing in a file is executed, and other files are refused."""

import os
import pickle
import sys
from collections import defaultdict

import numpy as np
import pytest
import torch

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.errors import UserError

STATE = {'weight': torch.ones(2, 3), 'bias': torch.zeros(3)}


@pytest.mark.parametrize(
    ('content', 'found'),
    [
        ([torch.zeros(1)], 'a list'),
        (torch.zeros(1), 'a tensor'),
        (np.zeros(1), 'a NumPy array'),
        (np.float64(1), 'a NumPy scalar'),
        (dict(state_dict=np.zeros(1)), 'a NumPy array'),
        (dict(state_dict=[1]), 'a list'),
        (3, 'an int'),
        ({3: torch.zeros(1)}, 'a dict with keys that are not strings'),
    ],
)
def test_files_without_names_are_refused(tmp_path, content, found):
    torch.save(content, tmp_path / 'list.pth')
    with pytest.raises(UserError, match=f'list.pth holds {found} instead of a state dict'):
        read_checkpoint(tmp_path / 'list.pth')


def test_an_index_of_shards_is_named(tmp_path):
    (tmp_path / 'model.safetensors.index.json').write_text('{"weight_map": {}}')
    with pytest.raises(UserError, match='name the files that it lists'):
        read_checkpoint(tmp_path / 'model.safetensors.index.json')


def test_a_cut_file_is_one_sentence(tmp_path):
    torch.save(STATE, tmp_path / 'x.pth')
    data = (tmp_path / 'x.pth').read_bytes()
    (tmp_path / 'x.pth').write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match='not a file of torch.save') as info:
        read_checkpoint(tmp_path / 'x.pth')
    assert '. ' not in str(info.value) and str(info.value).endswith('; download it again.')


class Malicious:
    def __reduce__(self):
        return os.system, ('touch executed',)


class Unknown:
    pass


@pytest.mark.parametrize('protocol', [0, 2, 4, 5])
@pytest.mark.parametrize('archive', [True, False])
@pytest.mark.parametrize(('leftover', 'wanted'), [(Malicious(), 'system'), (Unknown(), 'Unknown')])
def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch, leftover, wanted, archive, protocol):
    monkeypatch.chdir(tmp_path)
    content = dict(state_dict=STATE if archive else {}, hyper_parameters=leftover)
    if archive:
        torch.save(content, tmp_path / 'bad.ckpt', pickle_protocol=protocol)
    else:
        (tmp_path / 'bad.ckpt').write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(ValueError, match=f'needs `[a-z_., ]*{wanted}`, which could run code'):
        read_checkpoint(tmp_path / 'bad.ckpt')
    assert not (tmp_path / 'executed').exists()


def test_harmless_leftovers_are_passed_over(tmp_path):
    class AttributeDict(dict):
        pass

    AttributeDict.__module__, AttributeDict.__qualname__ = (
        'pytorch_lightning.utilities.parsing',
        'AttributeDict',
    )
    modules = {
        'pytorch_lightning.utilities.parsing': type(sys)('parsing'),
        'pytorch_lightning': type(sys)('pytorch_lightning'),
    }
    modules['pytorch_lightning.utilities'] = type(sys)('utilities')
    modules['pytorch_lightning.utilities.parsing'].AttributeDict = AttributeDict
    sys.modules.update(modules)
    try:
        torch.save(
            dict(state_dict=STATE, hyper_parameters=AttributeDict(lr=1)), tmp_path / 'file.ckpt'
        )
    finally:
        for name in modules:
            del sys.modules[name]
    assert read_checkpoint(tmp_path / 'file.ckpt')['state_dict'].keys() == STATE.keys()


@pytest.mark.parametrize('kind', [bool, bytes, dict, float, int, list, str, tuple])
def test_types_of_settings_are_passed_over(tmp_path, kind):
    """OmegaConf's configs in BSQ-ViT's files refer to the types of their values."""
    torch.save(dict(state_dict=STATE, config=[dict(object_type=kind)]), tmp_path / 'file.pt')
    assert read_checkpoint(tmp_path / 'file.pt')['state_dict'].keys() == STATE.keys()


@pytest.mark.parametrize(
    'leftover', [np.random.default_rng(0).random(3), np.float64(3), defaultdict(list, a=[1])]
)
def test_arrays_beside_the_weights_are_passed_over(tmp_path, leftover):
    """Trainers store states of random generators."""
    torch.save(dict(state_dict=STATE, rng=leftover), tmp_path / 'file.pt')
    assert read_checkpoint(tmp_path / 'file.pt')['state_dict'].keys() == STATE.keys()


def test_a_type_makes_nothing(tmp_path):
    """A pickle could call bytes with a large number, which would exhaust the memory."""

    class Large:
        def __reduce__(self):
            return bytes, (10**14,)

    torch.save(dict(state_dict=STATE, other=Large()), tmp_path / 'file.pt')
    assert read_checkpoint(tmp_path / 'file.pt')['state_dict'].keys() == STATE.keys()


@pytest.mark.parametrize('where', ['pickle', 'directory'])
def test_a_damaged_archive_of_protocol_4(tmp_path, where):
    """Each entry of a zip file has a checksum, which torch does not verify."""
    path = tmp_path / 'file.pth'
    torch.save(dict(state_dict=STATE), path, pickle_protocol=4)
    content = bytearray(path.read_bytes())
    begin = content.index(b'\x80\x04') if where == 'pickle' else content.rindex(b'PK\x01\x02')
    content[begin + 2 : begin + 6] = b'\x93\x93\x93\x93'
    path.write_bytes(content)
    with pytest.raises(UserError, match='file.pth cannot be read safely: it is damaged'):
        read_checkpoint(path)
