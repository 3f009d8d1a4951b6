"""Mistakes in calls of tools/sample.py are reported in one line, before anything is written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sample import named, parse_labels

from openmagvit2.apis import init_model, other_model
from openmagvit2.apis.models import config_path
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('generator') / 'x.pth'
    write_checkpoint(dict(state_dict=init_model('tiny/ar_32').state_dict()), path)
    return path


def test_lists_and_ranges_of_labels():
    assert parse_labels('0-2,7', 10) == [0, 1, 2, 7]
    assert parse_labels('10', 10) == [10]
    assert parse_labels('-1,3', 10) == [10, 3]


NAMES = ['tabby, tabby cat', 'Bag', 'T-shirt', '7']


def test_classes_by_name():
    parse = parse_labels
    assert parse('T-shirt, Bag,0', 4, NAMES) == [2, 1, 0]
    # A single name may contain commas; a number is never read as a name.
    assert parse('tabby, tabby cat', 4, NAMES) == [0] and parse('3', 4, NAMES) == [3]
    for text, message in (
        ('Bags', r"or by name; no class is called 'Bags', similar: Bag\.$"),
        ('bag', 'similar: Bag'),
        ('1,zebra', r"no class is called 'zebra'\.$"),
        ('7', 'classes go from 0 to 3'),
    ):
        with pytest.raises(ValueError, match=message):
            parse(text, 4, NAMES)
    with pytest.raises(ValueError, match='this checkpoint has no names of classes'):
        parse('Bag', 4)


def test_the_classes_are_printed(tool, checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    classes = ['T-shirt', 'Trouser', *map(str, range(8))]
    write_checkpoint(
        dict(content, meta=dict(dataset_meta=dict(classes=classes))), tmp_path / 'x.pth'
    )
    files = ['class_0001', 'class_0010', 'grid.png', 'samples.json']
    arguments = ['tiny/ar_32', tmp_path / 'x.pth', '--num', 1, '--labels', 'Trouser,-1']
    for options in (
        ['--out-dir', tmp_path / 'out'],
        ['--npz', tmp_path / 'x.npz', '--num-per-class', 1],
    ):
        code, out, _ = tool('sample', *arguments, *options)
        assert code == 0 and out.startswith('classes: 1 Trouser, 10 (null class: any class)\n')
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == files
    assert np.load(tmp_path / 'x.npz')['arr_1'].tolist() == [1, 10]


def test_a_checkpoint_with_other_settings_is_reported(checkpoint, tmp_path, monkeypatch):
    # The weights are the same for another size.
    trained = load_config(config_path('tiny/ar_32'), {'model.image_size': 16}).pretty_text
    trained = trained.replace('seed=0', 'seed=1').replace('dropout=0.0', 'dropout=0.5', 1)
    content = torch.load(checkpoint, weights_only=True) | dict(meta=dict(cfg=trained))
    write_checkpoint(content, tmp_path / 'x.pth')
    said: list[str] = []
    monkeypatch.setattr(other_model, 'print_log', lambda text, *rest: said.append(text))
    init_model('tiny/ar_32', tmp_path / 'x.pth')
    assert [line.partition('trained with other settings: ')[2] for line in said] == [
        'model.backbone.dropout=0.0 replaces 0.5.',
        'model.image_size=32 replaces 16.',
    ]
    content['meta']['cfg'] = load_config(config_path('tiny/ar_32')).pretty_text
    write_checkpoint(content, tmp_path / 'x.pth')
    said.clear()
    init_model('tiny/ar_32', tmp_path / 'x.pth')
    assert said == []


def test_samples_are_not_mixed(tool, checkpoint, tmp_path):
    def start(*options: str) -> tuple[int, str]:
        arguments = ['tiny/ar_32', checkpoint, '--num', 1, '--out-dir', tmp_path, *options]
        code, out, errors = tool('sample', *arguments)
        return code, out + errors

    assert start('--labels', '0')[0] == 0
    code, message = start('--labels', '1')
    assert code == 0 and 'has samples of the same settings' in message
    for options, key in ((['--seed', '1'], 'seed'), (['--top-k', '5'], 'sampling')):
        code, message = start('--labels', '0', *options)
        assert code == 2 and f'contains samples with other settings ({key})' in message
    (tmp_path / 'samples.json').unlink()
    code, message = start('--labels', '0')
    assert code == 2 and 'no samples.json with their settings' in message


def test_many_classes_are_one_short_line():
    assert named([3, 0], 10, None) == '3, 0'
    line = named(list(range(1000)), 1000, [f'n{i:08d}' for i in range(1000)])
    assert line.startswith('0 n00000000, 1 n00000001')
    assert line.endswith('19 n00000019, … (1000 in all)')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--labels', '0-'], 'write classes as'),
        (['--labels', '5-2'], 'write classes as'),
        (['--labels', ''], '--labels: the value is empty'),
        (['--labels=-2'], 'write classes as'),
        (['--labels=-1,10'], 'class 10 occurs more than once'),
        (['--labels', 'Bag'], 'this checkpoint has no names of classes'),
        (['--guidance', '1e30'], 'guidance must be at least 0 and at most 1000000'),
        (['--labels', '0-99999999999'], 'classes go from 0 to 9'),
        (['--labels', '1,1'], 'class 1 occurs more than once'),
        (['--seed=-1'], 'seed must be an integer ≥ 0'),
        (['--top-k=-1'], 'top_k must be at least 0'),
        (['--guidance', 'inf'], 'guidance must be a finite number'),
        (['--guidance', 'nan'], 'guidance must be a number'),
        (['--device', 'abacus'], "device 'abacus' cannot be used here"),
        (['--out-dir', '{file}/below'], 'below is not writable (Not a directory)'),
        (['--npz', '{file}/x.npz'], 'is not writable (Not a directory)'),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tool, checkpoint, options, message, tmp_path):
    options = [option.format(file=checkpoint) for option in options]
    arguments = ['tiny/ar_32', checkpoint, '--num', 1, '--out-dir', tmp_path / 'out']
    code, _, errors = tool('sample', *arguments, *options)
    (line,) = errors.splitlines()
    assert code == 2 and line.startswith('error: ') and message in line
    assert not list(tmp_path.iterdir()) and list(checkpoint.parent.iterdir()) == [checkpoint]
