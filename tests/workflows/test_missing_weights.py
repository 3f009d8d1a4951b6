"""If weights to start from are missing, the error names the key and a remedy."""

import re
from pathlib import Path

import pytest

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'


@pytest.mark.parametrize(
    ('name', 'key', 'way_on'),
    [
        ('ar_32', 'model.tokenizer.checkpoint', 'set this to None'),
        ('titok_stage1_32', 'model.pixels.tokenizer.checkpoint', 'set this to None'),
        ('titok_stage2_32', 'model.training.start.checkpoint', 'set model.training.start=None'),
    ],
)
def test_a_part_without_its_file(name, key, way_on):
    # The Runner calls it before training.
    model = init_model(TINY / f'{name}.py', cfg_options={key: 'gone.pth'})
    text = f'{re.escape(key)}: gone.pth does not exist; .*{way_on}'
    with pytest.raises(UserError, match=text):
        model.init_weights()


def test_a_training_without_its_file(tmp_path):
    config = load_config(TINY / 'lfq_32.py', dict(load_from='gone.pth'))
    with pytest.raises(UserError, match='load_from=gone.pth does not exist; .*load_from=None'):
        train(config, str(tmp_path))


def test_weights_of_another_model_are_reported_before_the_config(tmp_path, capfd):
    model = init_model(TINY / 'lfq_32.py')
    write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    options = {'load_from': str(tmp_path / 'a.pth'), 'model.encoder.channels': 64}
    with pytest.raises(UserError, match='load_from=.*a.pth does not fit this config: .*unfit'):
        train(load_config(TINY / 'lfq_32.py', options), str(tmp_path / 'work'))
    assert 'VisualTokenizer' not in ''.join(capfd.readouterr())
