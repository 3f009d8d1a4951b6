"""The notebook runs from its first cell to its last."""

import json
import os
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = json.loads((ROOT / 'docs' / 'notebooks' / 'tour.ipynb').read_text())
CELLS = [''.join(cell['source']) for cell in NOTEBOOK['cells'] if cell['cell_type'] == 'code']


def test_it_is_kept_without_outputs():
    assert NOTEBOOK['nbformat'] == 4 and len(CELLS) > 5
    assert not any(cell.get('outputs') for cell in NOTEBOOK['cells'])


@pytest.mark.slow
def test_every_cell_runs(tmp_path, monkeypatch, capsys):
    """In this process: a kernel of its own would need packages that the tests do not."""
    matplotlib.use('Agg')
    for name in ('configs', 'docs'):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for i, cell in enumerate(CELLS):
        exec(compile(cell.replace('STEPS = 100', 'STEPS = 4'), f'cell {i}', 'exec'), names)
    assert 'LFQ, 8 bits: ' in capsys.readouterr().out
    assert names['generator'].sample([1]).shape == (1, 32, 32, 3)
