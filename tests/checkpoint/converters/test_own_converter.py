"""A user's converter: the example in docs/guides/checkpoints.md."""

import textwrap
from pathlib import Path

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.errors import UserError
from openmagvit2.registry import CONVERTERS
from openmagvit2.workflows.convert import convert

GUIDE = Path(__file__).parents[3] / 'docs' / 'guides' / 'checkpoints.md'
OPTIONS = {
    'model.quantizer': dict(
        _delete_=True, type='VQ', codebook_size=16, code_dim=4, projection=8, restart_after=None
    ),
    'model.discriminator': None,
}


@pytest.fixture
def own():
    """Register the class of the guide for one test."""
    text = GUIDE.read_text()
    start = text.index('    from openmagvit2.checkpoint.converters import Converter')
    code = text[start : text.index('\nA rule maps one of our names')]
    names: dict = {}
    exec(compile(textwrap.dedent(code), 'guide', 'exec'), names)
    yield names['Mine']
    del CONVERTERS.module_dict['Mine']


def test_there_and_back(own, tmp_path, capsys):
    model = init_model('tiny/lfq_32', cfg_options=OPTIONS)
    ours = {
        name: torch.rand(tensor.shape)
        for name, tensor in model.state_dict().items()
        if not name.startswith('discriminator.')
    }
    official = {}
    for name, tensor in ours.items():
        name = name.replace('encoder.', 'net.enc.').replace('decoder.', 'net.dec.')
        if name == 'quantizer.project_in.weight':
            name, tensor = 'net.to_code.weight', tensor[..., None]
        official[name.replace('quantizer.', 'net.')] = tensor
    torch.save(
        dict(state_dict=official | {'optimizer.step': torch.tensor(3)}), tmp_path / 'file.ckpt'
    )
    given = dict(config='tiny/lfq_32', cfg_options=OPTIONS)
    convert([tmp_path / 'file.ckpt'], tmp_path / 'ours.pth', **given)
    assert 'no part of the model' in capsys.readouterr().out
    state = read_checkpoint(tmp_path / 'ours.pth')['state_dict']
    assert state.keys() == ours.keys() and all(state[name].equal(ours[name]) for name in ours)
    convert([tmp_path / 'ours.pth'], tmp_path / 'back.ckpt', to='official', **given)
    back = read_checkpoint(tmp_path / 'back.ckpt')['state_dict']
    assert back.keys() == official.keys()
    assert all(back[name].equal(official[name]) for name in official)
    with pytest.raises(UserError, match='is an official one: convert it first'):
        init_model('tiny/lfq_32', tmp_path / 'back.ckpt', cfg_options=OPTIONS)
