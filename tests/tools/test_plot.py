"""Training curves from logs."""

import json
import warnings
from pathlib import Path

import plot
import pytest
from PIL import Image


def write(folder: Path, start: str, rows: list[dict], tail: str = '') -> None:
    log = folder / start / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(''.join(json.dumps(row) + '\n' for row in rows) + tail)


@pytest.fixture
def runs(tmp_path):
    a, b = tmp_path / 'a', tmp_path / 'b'
    write(a, '01', [dict(step=s, loss=10 - s, lr=0.1, note='x') for s in (1, 2, 3, 4)])
    write(a, '02', [dict(step=3, loss=70.0), dict(step=3, psnr=20.0)], '{"step": 5, "lo')
    write(b, '01', [dict(step=2, loss=1.0)])
    return a, b


def test_a_line_that_is_cut_within_a_letter(tmp_path):
    write(tmp_path, '01', [dict(step=1, loss=2.0)])
    with open(tmp_path / '01' / 'vis_data' / 'scalars.json', 'ab') as log:
        log.write('{"größe'.encode()[:5])
    assert plot.read_curves(tmp_path) == dict(loss={1: 2.0})


def test_a_resumed_log_replaces_later_values(runs):
    curves = plot.read_curves(runs[0])
    assert curves == dict(loss={1: 9, 2: 8, 3: 70.0}, lr={1: 0.1, 2: 0.1}, psnr={3: 20.0})
    assert plot.smooth([1.0, 3.0, 8.0], 2) == [1.0, 2.0, 5.5]


def test_several_runs_to_png_and_svg(runs, tmp_path, tool):
    args = [*runs, '--keys', 'psnr', 'l*']
    code, out, _ = tool('plot', *args)
    assert code == 0 and 'curves.png: psnr, loss, lr' in out
    assert Image.open(runs[0] / 'curves.png').width == 1500  # three panels of 5 inches, 100 dpi
    assert tool('plot', *args, '--out', tmp_path / 'x.svg', '--log')[0] == 0
    assert '<svg' in (tmp_path / 'x.svg').read_text()


def test_letters_that_no_font_has_are_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        plot.plot({'訓練 \U00013000': dict(loss={1: 2.0}), 'b': {}}, ['loss'], tmp_path / 'x.png')


def test_mistakes(runs, tmp_path, tool):
    for more, text in (
        (['--keys', 'lss'], '--keys lss: no such curve; there are loss, lr, psnr.'),
        (['--out', 'x.gif'], '--out x.gif: choose a file that ends in .png, .svg or .pdf.'),
        ([str(tmp_path)], f'{tmp_path}: no <time>/vis_data/scalars.json'),
    ):
        code, _, errors = tool('plot', runs[0], *more)
        assert code == 2 and text in errors
