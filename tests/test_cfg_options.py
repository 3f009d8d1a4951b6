"""Overrides on the command line."""

import argparse

import pytest

from openmagvit2.cfg_options import DictAction, nest, parse_value
from openmagvit2.config import load_config
from openmagvit2.errors import UserError


def parse(*pairs: str) -> dict:
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    return parser.parse_args(['--cfg-options', *pairs]).cfg_options


# The second column is what mmengine documents, or Python.
VALUES = [
    ('1,2,3', [1, 2, 3]),
    ('[a, b, c]', ['a', 'b', 'c']),
    ('[(8,8),(5,5)]', [(8, 8), (5, 5)]),
    ('(0.5,0.95)', (0.5, 0.95)),
    ('1e-4', 1e-4),
    ('None', None),
    ('true', True),
    ('/data/my images', '/data/my images'),
    ('{{ fileDirname }}/out', '{{ fileDirname }}/out'),
    (
        "[dict(type='PSNR', protocol='official'), dict(type=SSIM)]",
        [dict(type='PSNR', protocol='official'), dict(type='SSIM')],
    ),
    ("{'type': 'FSQ', 'levels': [8, 5]}", dict(type='FSQ', levels=[8, 5])),
    (
        'dict(type=openmagvit2.RoleDDP, a=-1, b=(1, None))',
        dict(type='openmagvit2.RoleDDP', a=-1, b=(1, None)),
    ),
    ('dict(c=[dict(d=true)])', dict(c=[dict(d=True)])),
]


@pytest.mark.parametrize(('text', 'value'), VALUES)
def test_values(text, value):
    assert parse_value(text) == value
    assert parse(f'a.b={text}') == {'a.b': value}


@pytest.mark.parametrize(
    'text',
    [
        'a.b',
        'a=f(1,2)',
        "a=[dict(type='X')",
        'a=[f(dict(b=1)), 2]',
        'a={[]: 1}',
        'a={**b}',
        "a=dict(b='\udcff')",
    ],
)
def test_what_cannot_be_read_is_a_usage_error(text, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(text)
    assert stop.value.code == 2 and text.split('=')[0] in capsys.readouterr().err


def test_lists_of_dicts_override_a_config():
    options = parse(
        "val_evaluator=[dict(type='PSNR', protocol='official'), dict(type='CodebookUsage')]"
    )
    loaded = load_config('configs/tiny/lfq_32.py', options)
    assert [metric.type for metric in loaded.val_evaluator] == ['PSNR', 'CodebookUsage']
    with pytest.raises(UserError, match=r'val_evaluator.0.protokoll.*did you mean `protocol`'):
        load_config(
            'configs/tiny/lfq_32.py',
            parse("val_evaluator=[dict(type='PSNR', protokoll='official')]"),
        )


def test_settings_of_processes():
    loaded = load_config(
        'configs/tiny/lfq_32.py',
        parse('env_cfg.mp_cfg.mp_start_method=spawn', 'env_cfg.mp_cfg.opencv_num_threads=0'),
    )
    assert loaded.env_cfg.mp_cfg.to_dict() == dict(mp_start_method='spawn', opencv_num_threads=0)
    with pytest.raises(UserError, match=r'env_cfg.mp_cfg.mp_start.*did you mean `mp_start_method`'):
        load_config('configs/tiny/lfq_32.py', parse('env_cfg.mp_cfg.mp_start=spawn'))
    with pytest.raises(UserError, match=r'env_cfg.mp_cgf.*did you mean `mp_cfg`'):
        load_config('configs/tiny/lfq_32.py', parse('env_cfg.mp_cgf.mp_start_method=spawn'))


def test_a_value_and_a_key_below_it():
    with pytest.raises(UserError, match='head.type: another override sets `head`; combine the two'):
        nest({'model.head': None, 'model.head.type': 'SingleHead'})
    # In the other order, the first one would be lost.
    with pytest.raises(UserError, match=r'model\.head: another override sets a key below it'):
        nest({'model.head.type': 'SingleHead', 'model.head': None})
