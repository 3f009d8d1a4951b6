"""Advice about the published file that a file resembles if it does not fit the config."""

import re

import pytest
import torch
from open_magvit2_names import ema_names, official_names

from openmagvit2.apis import init_model
from openmagvit2.apis.models import published_files
from openmagvit2.checkpoint import to_official, to_ours
from openmagvit2.checkpoint.converters import converters
from openmagvit2.checkpoint.converters.open_magvit2 import OpenMagvit2
from openmagvit2.checkpoint.transfer import Misfit
from openmagvit2.errors import UserError
from openmagvit2.workflows import resembling
from openmagvit2.workflows.convert import convert
from openmagvit2.workflows.resembling import advice

FILES = [x for x in published_files() if x[1]['converter'] == 'OpenMagvit2']
TINY = 'tiny/lfq_32_official'


def official(config: str) -> dict[str, torch.Tensor]:
    """Return the tensors of an official file without values, with averages if it may have them."""
    model = init_model(config, device='meta')
    own = model.state_dict()
    names = [official_names(model)]
    names += [ema_names(model)] if 'encoder.conv_in.weight' in own else []
    return {name: own[ours] for part in names for ours, name in part.items()}


@pytest.mark.parametrize(('config', 'file'), FILES, ids=[file['file'] for _, file in FILES])
def test_a_file_of_another_config(config, file):
    with pytest.raises(Misfit, match='Give the config that belongs to it; --list shows') as error:
        to_ours(official(config), init_model(TINY, device='meta'))
    # Some files have the same tensors.
    text = advice(error.value.converter, error.value.state)
    assert re.match(f'It looks like .*{file["file"]}.*: give .*configs/{config}.py.*, or', text)


def test_a_damaged_file_with_networks_of_losses():
    state = official('lfq_128')
    state |= {f'loss.perceptual_loss.{i}': torch.zeros(1) for i in range(33)}
    state['encoder.conv_in.weight'] = torch.zeros(3)
    del state['decoder.conv_in.weight']
    text = 'It looks like imagenet_128_L.ckpt: give configs/lfq_128.py, or download the file again'
    assert advice(OpenMagvit2(), state).startswith(text)


@pytest.mark.parametrize('converter', converters(), ids=lambda c: type(c).__name__)
def test_damaged_tensors(converter, monkeypatch):
    config = converter.configs[0]
    published = [(config, dict(file='a file', converter=type(converter).__name__))]
    monkeypatch.setattr(resembling, 'published_files', lambda: published)
    model = init_model(config, device='meta')
    state = to_official(dict(state_dict=model.state_dict()), model, converter=converter)[0]
    for value in (None, torch.zeros(()), torch.zeros(3), 'text'):
        damaged = dict.fromkeys(list(state['state_dict'])[::5], value)
        text = advice(converter, state['state_dict'] | damaged)
        assert text.startswith(f'It looks like a file: give configs/{config}.py, or download')


def test_a_network_of_another_size_resembles_none(tmp_path):
    assert advice(OpenMagvit2(), official(TINY)) == ''
    torch.save(dict(state_dict={'encoder.conv_in.weight': torch.zeros(3)}), tmp_path / 'a.ckpt')
    with pytest.raises(UserError, match='a.ckpt: The file does not fit .*--list shows'):
        convert([tmp_path / 'a.ckpt'], tmp_path / 'x.pth', TINY)


def test_the_tool_names_the_config(tmp_path):
    """A file with only a discriminator of the published size."""
    state = {name: torch.empty(x.shape) for name, x in official('lfq_128').items()}
    torch.save(dict(state_dict={k: x for k, x in state.items() if 'disc' in k}), tmp_path / 'a.pt')
    with pytest.raises(UserError, match='a.pt: The file does .* like .* give configs/.*lfq_128.py'):
        convert([tmp_path / 'a.pt'], tmp_path / 'x.pth', TINY)
