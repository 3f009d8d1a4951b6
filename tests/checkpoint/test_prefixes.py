"""Tensor names that torch.compile and data parallelism change."""

import pytest
import torch

from openmagvit2.checkpoint import read_checkpoint, reading, write_checkpoint
from openmagvit2.checkpoint.prefixes import unwrapped

PLAIN = {'encoder.conv.weight': torch.ones(1), 'decoder.module.bias': torch.zeros(1)}


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
@pytest.mark.parametrize(
    'prefix', ['module.', '_orig_mod.', '_orig_mod.module.', 'module._orig_mod.']
)
def test_prefixes_are_taken_off(tmp_path, monkeypatch, prefix, ending):
    lines = []
    monkeypatch.setattr(reading, 'print_log', lambda text, *_: lines.append(text))
    state = {prefix + name: value for name, value in PLAIN.items()}
    averaged = {name: value + 1 for name, value in state.items()}
    write_checkpoint(dict(state_dict=state, ema_state_dict=averaged), tmp_path / f'a.{ending}')
    content = read_checkpoint(tmp_path / f'a.{ending}')
    for key in ('state_dict', 'ema_state_dict'):
        assert content[key].keys() == PLAIN.keys()
    (line,) = lines
    assert all(f'`{part}.`' in line for part in prefix.split('.')[:-1])


def test_a_compiled_part():
    # As state_dict() of Sequential(torch.compile(Linear(2, 2))) has them.
    names = ['0._orig_mod.weight', '0._orig_mod.bias']
    assert list(unwrapped(dict.fromkeys(names))[0]) == ['0.weight', '0.bias']


def test_names_of_other_meaning_stay():
    assert unwrapped(PLAIN) == (PLAIN, [])
    half = {'module.a': 1, 'b': 2}
    assert unwrapped(half) == (half, [])
    twice = {'_orig_mod.a': 1, 'a': 2}
    assert unwrapped(twice) == (twice, [])
    assert unwrapped({}) == ({}, [])
