"""The framework of the benchmarks."""

import json

import benchmark
import pytest

from benchmarks import lfq
from benchmarks.machine import Machine
from benchmarks.report import Result, number


def test_ratios_are_those_of_the_times():
    result = Result('a', 2.0, 8, 'images', peak=1e6, floor=1.0, plain=6.0, plain_peak=4e6)
    content = result.content()
    assert (content['throughput'], content['floor_ratio'], content['plain_ratio']) == (4, 0.5, 3)
    text = str(result)
    assert '50 % of that rate' in text and '3 times as fast, 0.25 of the memory' in text


@pytest.mark.parametrize(
    'value, text', [(0.02134, '0.0213'), (9.24, '9.24'), (1340.4, '1 340'), (0.0, '0')]
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize('interrupted', [False, True])
def test_json_is_one_document_also_after_ctrl_c(capsys, monkeypatch, interrupted):
    measure = lfq.measure

    def first(args, machine):
        yield next(measure(args, machine))
        if interrupted:
            raise KeyboardInterrupt

    monkeypatch.setattr(lfq, 'measure', first)
    for rate in ('_matrix_rate', '_convolution_rate'):
        monkeypatch.setattr(Machine, rate, lambda self, dtype=None: 1e9)
    code = benchmark.main(['lfq', '--bits', '4', '--tokens', '8', '--repeats', '1', '--json'])
    found = json.loads(capsys.readouterr().out)
    assert code == (130 if interrupted else 0) and found['interrupted'] == interrupted
    assert found['machine']['matrix_gflops'] == 1 and found['machine']['threads'] >= 1
    (result,) = found['results']['lfq']
    assert result['amount'] == 8 and result['plain_ratio'] > 0 and 0 < result['peak'] < 1e5


@pytest.mark.parametrize('codes, expected', [((0, 0), 0), ((1, 0), 1), ((130, 0), 130)])
def test_all_runs_each_part_in_its_own_process(tmp_path, capsys, monkeypatch, codes, expected):
    part = tmp_path / 'part.py'
    part.write_text(
        'import json, os, sys\n'
        'part, code = sys.argv[1].split(":")\n'
        'found = dict(part=part, process=os.getpid(), options=sys.argv[2:])\n'
        'print(json.dumps(dict(machine={}, results={part: [found]}, interrupted=code == "130")))\n'
        'sys.exit(int(code))\n'
    )
    monkeypatch.setattr(benchmark, '__file__', str(part))
    monkeypatch.setattr(benchmark.benchmarks, 'PARTS', [f'p{i}:{c}' for i, c in enumerate(codes)])
    options = ['--threads', '1', '--json']
    assert benchmark.every_part(options, as_json=True) == expected
    document = json.loads(capsys.readouterr().out)
    found = [result for (result,) in document['results'].values()]
    # Ctrl-C ends the run, but what was measured is printed.
    assert len(found) == len({one['process'] for one in found}) == (1 if expected == 130 else 2)
    assert document['interrupted'] == (expected == 130)
    assert all(one['options'] == options for one in found)
