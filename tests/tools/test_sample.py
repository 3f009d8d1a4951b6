"""Mistakes of tools/sample.py are told in one line, before anything is written."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint

TOOL = Path(__file__).parents[2] / 'tools' / 'sample.py'


@pytest.fixture(scope='module')
def main():
    return runpy.run_path(str(TOOL))['main']


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('generator') / 'x.pth'
    write_checkpoint(dict(state_dict=init_model('tiny/ar_32').state_dict()), path)
    return path


def test_lists_and_ranges_of_labels():
    parse = runpy.run_path(str(TOOL))['parse_labels']
    assert parse('0-2,7', 10) == [0, 1, 2, 7] and parse('10', 10) == [10]


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        (['--labels', '0-'], 'write classes as'),
        (['--labels', '5-2'], 'write classes as'),
        (['--labels', ''], 'write classes as'),
        (['--labels=-1'], 'write classes as'),
        (['--labels', '0-99999999999'], 'classes go from 0 to 9'),
        (['--labels', '1,1'], 'class 1 is there more than once'),
        (['--seed=-1'], 'seed must be at least 0'),
        (['--top-k=-1'], 'top_k must be at least 0'),
        (['--guidance', 'inf'], 'guidance must be a finite number'),
        (['--guidance', 'nan'], 'guidance must be at least 0'),
        (['--device', 'abacus'], "device 'abacus' cannot be used here"),
        (['--out-dir', '{file}/below'], 'below cannot be written to (Not a directory)'),
        (['--npz', '{file}/x.npz'], 'cannot be written to (Not a directory)'),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(main, checkpoint, options, told, tmp_path, monkeypatch, capsys):
    options = [option.format(file=checkpoint) for option in options]
    arguments = ['configs/tiny/ar_32.py', str(checkpoint), '--num', '1', '--out-dir', str(tmp_path / 'out'), *options]
    monkeypatch.chdir(TOOL.parents[1])
    monkeypatch.setattr(sys, 'argv', ['sample.py', *arguments])
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and told in line
    assert not list(tmp_path.iterdir()) and list(checkpoint.parent.iterdir()) == [checkpoint]
