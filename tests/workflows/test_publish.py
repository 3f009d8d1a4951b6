"""Publishing of a work directory, and conversion of our checkpoints to the other format."""

import json
import shutil

import pytest
import torch

from openmagvit2.apis import Tokenizer, init_model
from openmagvit2.apis.models import config_path
from openmagvit2.checkpoint import read_checkpoint, write_checkpoint
from openmagvit2.errors import UserError
from openmagvit2.workflows.convert import convert
from openmagvit2.workflows.publish import publish


@pytest.fixture
def work(tmp_path):
    """A work directory with raw weights and averages twice as large."""
    torch.manual_seed(0)
    state = init_model('tiny/lfq_32', device='cpu').state_dict()
    averages = {k: 2 * v for k, v in state.items() if k.startswith(('encoder', 'decoder'))}
    folder = tmp_path / 'work'
    folder.mkdir()
    content = dict(state_dict=state, ema_state_dict=averages)
    write_checkpoint(
        content | dict(meta=dict(dataset_meta=dict(classes=['a']))), folder / 'iter_3.pth'
    )
    shutil.copy(config_path('tiny/lfq_32'), folder / 'lfq_32.py')
    text = (folder / 'lfq_32.py').read_text()
    root = config_path('tiny/lfq_32').parents[1].as_posix()
    (folder / 'lfq_32.py').write_text(text.replace("'../_base_", f"'{root}/_base_"))
    (folder / 'run.json').write_text(json.dumps(dict(id='a', config='configs/tiny/lfq_32.py')))
    return folder


def test_averages_and_raw_weights(work, tmp_path):
    hashed = publish(work, tmp_path / 'model')
    (work / 'metrics.json').write_text(
        json.dumps(
            dict(metrics=dict(psnr=20.5), images=100, checkpoint=dict(weights_sha256=hashed))
        )
    )
    publish(work, tmp_path / 'model')
    publish(work, tmp_path / 'raw', 'raw')
    averaged, raw = (Tokenizer.from_pretrained(tmp_path / name) for name in ('model', 'raw'))
    name = 'encoder.conv_in.weight'
    assert averaged.model.state_dict()[name].equal(2 * raw.model.state_dict()[name])
    assert averaged.model.dataset_meta == dict(classes=['a'])
    # The weights have the same permissions as the model card.
    modes = {path.stat().st_mode for path in (tmp_path / 'model').iterdir()}
    assert len(modes) == 1
    # Only the averaged weights were measured.
    assert '| PSNR | 20.5 |' in (tmp_path / 'model' / 'README.md').read_text()
    assert 'PSNR' not in (tmp_path / 'raw' / 'README.md').read_text()
    assert json.loads((tmp_path / 'model' / 'config.json').read_text())['name'] == 'tiny/lfq_32'


def test_checkpoints_of_other_runs_and_torn_ones_are_passed_over(work, tmp_path):
    expected = publish(work, tmp_path / 'model')
    content = read_checkpoint(work / 'iter_3.pth')
    content['state_dict'] = {k: v + 1 for k, v in content['state_dict'].items()}
    content['meta']['run'] = 'b'
    write_checkpoint(content, work / 'iter_9.pth')
    (work / 'iter_8.pth').write_bytes(b'torn')
    assert publish(work, tmp_path / 'model') == expected


def test_folders_that_are_no_training(work, tmp_path):
    with pytest.raises(UserError, match='run.json'):
        publish(tmp_path, tmp_path / 'model')
    for content in (b'{"metrics": ', b'[]', b'\xff\xd8'):
        (work / 'metrics.json').write_bytes(content)
        with pytest.raises(UserError, match='metrics.json cannot be read .*; remove it, or run'):
            publish(work, tmp_path / 'model')
    (work / 'metrics.json').unlink()
    (work / 'iter_3.pth').unlink()
    with pytest.raises(UserError, match='no checkpoint'):
        publish(work, tmp_path / 'model')


def test_safetensors_and_back(work, tmp_path):
    first, config = work / 'iter_3.pth', config_path('tiny/lfq_32')
    convert([first], tmp_path / 'a.safetensors', config)
    convert([tmp_path / 'a.safetensors'], tmp_path / 'b.pth', config)
    old, new = read_checkpoint(first), read_checkpoint(tmp_path / 'b.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert old[key].keys() == new[key].keys()
        assert all(old[key][name].equal(new[key][name]) for name in old[key])
    assert new['meta']['dataset_meta'] == dict(classes=['a'])
    with pytest.raises(UserError, match='already in our layout'):
        convert([first], tmp_path / 'c.pth', config)
