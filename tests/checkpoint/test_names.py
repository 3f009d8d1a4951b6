"""Prefixes that torch.compile and data parallelism add to tensor names are removed."""

import pytest
import torch

from openmagvit2.checkpoint import names, read_checkpoint, write_checkpoint

PLAIN = {'encoder.conv.weight': torch.ones(1), 'decoder.module.bias': torch.zeros(1)}


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
@pytest.mark.parametrize(
    'prefix', ['module.', '_orig_mod.', '_orig_mod.module.', 'module._orig_mod.']
)
def test_prefixes_are_taken_off(tmp_path, monkeypatch, prefix, ending):
    lines = []
    monkeypatch.setattr(names, 'print_log', lambda text, *_: lines.append(text))
    state = {prefix + name: value for name, value in PLAIN.items()}
    averaged = {name: value + 1 for name, value in state.items()}
    write_checkpoint(dict(state_dict=state, ema_state_dict=averaged), tmp_path / f'a.{ending}')
    content = read_checkpoint(tmp_path / f'a.{ending}')
    for key in ('state_dict', 'ema_state_dict'):
        assert content[key].keys() == PLAIN.keys()
    (line,) = lines
    assert all(f'`{part}.`' in line for part in prefix.split('.')[:-1])


@pytest.mark.parametrize(
    ('given', 'read'),
    [
        # From state_dict() of Sequential(torch.compile(Linear(2, 2))).
        (['0._orig_mod.weight', '0._orig_mod.bias'], ['0.weight', '0.bias']),
        # Names with another meaning stay.
        (list(PLAIN), list(PLAIN)),
        (['module.a', 'b'], ['module.a', 'b']),
        (['_orig_mod.a', 'a'], ['_orig_mod.a', 'a']),
        ([], []),
    ],
)
def test_parts_of_names(tmp_path, given, read):
    torch.save(dict(state_dict=dict.fromkeys(given, torch.ones(1))), tmp_path / 'a.pth')
    assert list(read_checkpoint(tmp_path / 'a.pth')['state_dict']) == read
