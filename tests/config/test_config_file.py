"""mmengine's documented config syntax, in files and overrides."""

import sys
from pathlib import Path

import pytest

from openmagvit2.config import load_config
from openmagvit2.errors import UserError


@pytest.fixture
def write(tmp_path):
    """Write a file in the temporary folder and return its path."""

    def call(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        return path

    return call


def test_predefined_names_are_those_of_the_file(write, tmp_path):
    text = (
        "work_dir = '{{ fileDirname }}/runs/{{fileBasenameNoExtension}}'\n"
        "experiment_name = '{{ fileBasename }}'\nmy_end = f'{{ fileExtname }}'\nmy_name = {{ "
        'fileBasename }}\n'
    )
    loaded = load_config(write('some where/a.config.py', text))
    assert loaded.work_dir == f'{tmp_path.as_posix()}/some where/runs/a.config'
    assert (loaded.experiment_name, loaded.my_end, loaded.my_name) == (
        'a.config.py',
        '.py',
        'a.config.py',
    )


def test_predefined_names_in_a_base_are_of_the_base(write, tmp_path):
    write('bases/base.py', "work_dir = '{{ fileDirname }}'\n")
    assert (
        load_config(write('child.py', "_base_ = '{{ fileDirname }}/bases/base.py'\n")).work_dir
        == f'{tmp_path}/bases'
    )


def test_values_of_the_bases(write):
    write('base.py', "my_size = 8\nmy_levels = [3, 5]\nmy_part = dict(type='LFQ', num_bits=4)\n")
    child = write(
        'child.py',
        "_base_ = ['./base.py']\n"
        "my_bare = dict(a={{_base_.my_part}})\nmy_text = '{{ _base_.my_part.num_bits "
        "}}'\nmy_in_text = 'n{{_base_.my_size}}'\n"
        'my_twice = {{_base_.my_size}} * 2\nmy_plain = _base_.my_part.num_bits + '
        "_base_['my_size']\nmy_item = {{_base_.my_levels.1}}\n"
        'my_levels = _base_.my_levels + [7]\n',
    )
    loaded = load_config(child).to_dict()
    assert loaded['my_bare'] == dict(a=dict(type='LFQ', num_bits=4))
    assert (loaded['my_text'], loaded['my_in_text'], loaded['my_twice']) == (4, 'n8', 16)
    assert (loaded['my_plain'], loaded['my_item'], loaded['my_levels']) == (12, 5, [3, 5, 7])


def test_a_value_that_no_base_has(write):
    write('base.py', 'my_size = 8\n')
    with pytest.raises(
        UserError, match=r'child.py: \{\{_base_.my_sise\}\}: no _base_ has `my_sise`'
    ):
        load_config(write('child.py', "_base_ = './base.py'\nmy_a = {{_base_.my_sise}}\n"))


@pytest.mark.parametrize('value', [r'C:\new\table', "it's here", 'say "so"', r'\1 {x}', 'a b'])
def test_environment_variables_may_have_any_letters(write, monkeypatch, value):
    monkeypatch.setenv('OPENMAGVIT2_TEST_DIR', value)
    config = write(
        'a.py',
        (
            "work_dir = '{{$OPENMAGVIT2_TEST_DIR:none}}/x'\nmy_bare = "
            "{{'$OPENMAGVIT2_TEST_DIR:none'}}\n"
        ),
    )
    assert load_config(config).work_dir == f'{value}/x'
    assert load_config(config).my_bare == value


def test_environment_variables_outside_of_quotes_are_values(write, monkeypatch):
    config = write('a.py', 'global_batch_size = {{$OPENMAGVIT2_TEST_N:4}}\n')
    assert load_config(config).global_batch_size == 4
    monkeypatch.setenv('OPENMAGVIT2_TEST_N', '16')
    assert load_config(config).global_batch_size == 16


def test_an_environment_variable_that_is_missing(write):
    with pytest.raises(UserError, match='OPENMAGVIT2_TEST_NOTHING is not set'):
        load_config(write('a.py', "work_dir = '{{$OPENMAGVIT2_TEST_NOTHING:}}'\n"))
    # Comments and docstrings only mention it.
    text = (
        '"""For {{$OPENMAGVIT2_TEST_NOTHING:}}."""\n# '
        '{{$OPENMAGVIT2_TEST_NOTHING:}}\nwork_dir = "a"\n'
    )
    assert load_config(write('b.py', text)).work_dir == 'a'


def test_several_bases_and_another_directory(write):
    write('x/one.py', 'optim_wrapper = dict(dtype="float32", clip_grad=dict(max_norm=1.0))\n')
    write('y/two.py', "_base_ = '../x/three.py'\n")
    write('x/three.py', 'global_batch_size = 3\n')
    child = write(
        'z/child.py',
        (
            "_base_ = ['../x/one.py', '../y/two.py']\noptim_wrapper = "
            'dict(clip_grad=dict(_delete_=True, type="value", clip_value=2))\n'
        ),
    )
    loaded = load_config(child)
    assert loaded.global_batch_size == 3
    assert loaded.optim_wrapper.clip_grad == dict(type='value', clip_value=2)
    assert loaded.optim_wrapper.dtype == 'float32'
    write('y/two.py', 'optim_wrapper = dict()\n')
    with pytest.raises(UserError, match='`optim_wrapper` is in more than one'):
        load_config(child)


def test_delete_where_nothing_is_inherited(write):
    config = write(
        'a.py',
        (
            "model = dict(type='VisualTokenizer', quantizer=dict(_delete_=True, type='FSQ', "
            'levels=[3]))\n'
        ),
    )
    assert load_config(config).model.quantizer.to_dict() == dict(type='FSQ', levels=[3])


def test_a_file_that_is_its_own_base(write):
    write('a.py', "_base_ = './b.py'\n")
    with pytest.raises(UserError, match='is its own _base_'):
        load_config(write('b.py', "_base_ = './a.py'\n"))


def test_functions_and_imports_of_a_file_work(write):
    text = (
        'import math\n\ndef my_times(x):\n    return x * my_side\n\n'
        'my_side = 3\nmy_area = [my_times(i) for i in range(3)] + [math.floor(2.5)]\n'
    )
    loaded = load_config(write('a.py', text)).to_dict()
    assert loaded == dict(my_side=3, my_area=[0, 3, 6, 2], default_scope='openmagvit2')


def test_templates_in_overrides(write, tmp_path):
    config = write('a.py', "global_batch_size = 4\nwork_dir = 'x'\n")
    options = {
        'work_dir': '{{ fileDirname }}/out',
        'experiment_name': 'n{{_base_.global_batch_size}}',
    }
    loaded = load_config(config, options)
    assert (loaded.work_dir, loaded.experiment_name) == (f'{tmp_path}/out', 'n4')


def test_errors_in_a_file_name_its_line(write):
    with pytest.raises(UserError, match='a.py, line 3: '):
        load_config(write('a.py', "work_dir = '{{ fileDirname }}'\n\nseed = = 3\n"))
    with pytest.raises(NameError) as caught:
        load_config(write('b.py', '\nseed = sead\n'))
    assert caught.traceback[-1].path.name == 'b.py' and caught.traceback[-1].lineno == 1


def test_custom_imports_come_last_in_the_path(write, monkeypatch):
    monkeypatch.setattr(sys, 'path', list(sys.path))
    before = list(sys.path)
    write('quopri.py', 'raise RuntimeError("took the place of the library")\n')
    monkeypatch.delitem(sys.modules, 'quopri', raising=False)
    load_config(write('a.py', "custom_imports = dict(imports=['quopri'])\n"))
    assert sys.path[: len(before)] == before
    with pytest.raises(UserError, match='custom_imports: no module `not_there_at_all`'):
        load_config(write('b.py', "custom_imports = dict(imports='not_there_at_all')\n"))
    load_config(
        write(
            'c.py', "custom_imports = dict(imports='not_there_at_all', allow_failed_imports=True)\n"
        )
    )


def test_bases_of_the_newer_kind_are_refused(write):
    text = 'from mmengine.config import read_base\nwith read_base():\n    from .base import *\n'
    with pytest.raises(UserError, match=r'a.py imports its bases with `read_base`; write their'):
        load_config(write('a.py', text))
