"""Mistakes of users are reported in one sentence, bugs in their parts keep the traceback, and a
failing terminal loses no result.
"""

import errno
import io
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from openmagvit2 import console
from openmagvit2.evaluation.comparison import Result
from openmagvit2.registry import QUANTIZERS
from openmagvit2.workflows import compare

ROOT = Path(__file__).parents[2]

PART = """
import torch
from openmagvit2.models.quantizers import FSQ
from openmagvit2.models.quantizers.base import QuantizerOutput
from openmagvit2.registry import QUANTIZERS


@QUANTIZERS.register_module(name='Faulty', force=True)
class Faulty(FSQ):
    def quantize(self, z):
        {body}
"""
BUGS = [
    ('torch.stack([z[0], z[0, :1]])', RuntimeError, 'stack expects each tensor to be equal size'),
    ('a, b = (1, 2, 3)', ValueError, 'too many values to unpack'),
    ("raise ValueError('a sentence of my own')", ValueError, 'a sentence of my own'),
    ('return z, z', TypeError, 'Faulty.quantize must return a QuantizerOutput, got a tuple'),
]


@pytest.mark.parametrize(('body', 'kind', 'text'), BUGS)
def test_bugs_in_a_part_keep_their_traceback(tmp_path, monkeypatch, tool, body, kind, text):
    name = f'faulty_{abs(hash(body))}'
    (tmp_path / f'{name}.py').write_text(PART.format(body=body))
    (tmp_path / 'a.py').write_text(
        f"_base_ = '{ROOT}/configs/tiny/fsq_32.py'\ncustom_imports = "
        f"dict(imports='{name}')\nmodel = dict(quantizer=dict(type='Faulty'))\n"
    )
    monkeypatch.setattr(sys, 'path', list(sys.path))
    try:
        with pytest.raises(kind, match=text) as caught:
            tool('train', tmp_path / 'a.py', '--work-dir', tmp_path / 'run')
    finally:
        QUANTIZERS.module_dict.pop('Faulty', None)
    assert type(caught.value) is kind
    if kind is not TypeError:
        assert any(entry.path.name == f'{name}.py' for entry in caught.traceback)


def test_a_terminal_without_the_letters(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding='ascii')
    monkeypatch.setattr(sys, 'stdout', stream)
    console.set_up_output()
    print('FSQ → VQ: é.png')
    stream.flush()
    assert stream.buffer.getvalue() == b'FSQ ? VQ: ?.png\n'


@pytest.mark.parametrize('path', sorted((ROOT / 'tools').glob('*.py')), ids=lambda path: path.stem)
def test_all_tools_set_up_their_output(path, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding='ascii', errors='strict')
    monkeypatch.setattr(sys, 'stdout', stream)
    monkeypatch.setattr(sys, 'argv', [path.name, '--help'])
    with pytest.raises(SystemExit):
        runpy.run_path(str(path))['main']()
    assert stream.errors == 'replace'


def test_an_evaluation_is_written_before_it_is_printed(tmp_path, monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError('the pipe is closed')

    tool = runpy.run_path(str(ROOT / 'tools' / 'evaluate_npz.py'))
    fake = Result(
        values=dict(fd=1.5),
        samples=dict(count=8),
        reference=dict(images=8, statistics=False),
        network=dict(name='n'),
        protocol={},
    )
    monkeypatch.setattr(compare, 'compare_sets', lambda *args, **kwargs: fake)
    monkeypatch.setattr(
        sys, 'argv', ['evaluate_npz.py', 'a', 'b', '--out', str(tmp_path / 'out.json')]
    )
    monkeypatch.setattr(sys, 'stdout', Full())
    assert tool['main']() == 1
    assert json.loads((tmp_path / 'out.json').read_text(encoding='utf-8'))['values'] == dict(fd=1.5)


@pytest.mark.parametrize(
    'error',
    [
        torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has'),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`'),
        MemoryError(),
        OSError(errno.ENOMEM, 'Cannot allocate memory'),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(
    ('name', 'front', 'arguments', 'remedy'),
    [
        ('sample', 'apis.Generator.from_config', 'c.py w.pth', '--batch-size'),
        ('tokenize_dataset', 'workflows.tokenize.tokenize', '{c} w.pth --out o', '--batch-size'),
        ('reconstruct', 'apis.Tokenizer.from_config', 'c.py w.pth {i}', '--size'),
        ('test', 'workflows.test.prepare', '{c} {i}', 'test_dataloader.batch_size'),
        ('evaluate_npz', 'workflows.compare.compare_sets', 'a b', '--batch-size'),
    ],
)
def test_a_memory_that_is_full(tool, name, front, arguments, remedy, error, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise error

    Image.new('RGB', (8, 8)).save(tmp_path / 'i.png')
    monkeypatch.setattr(f'openmagvit2.{front}', full)
    monkeypatch.setattr('openmagvit2.workflows.test.read_checkpoint', lambda *a, **k: {})
    words = arguments.format(c=ROOT / 'configs/tiny/lfq_32.py', i=tmp_path / 'i.png').split()
    code, _, errors = tool(name, *words)
    message = errors.strip()
    assert code == 2 and message.startswith('error: Out of memory (')
    assert remedy in message and '\n' not in message
