"""Weights under an entry or with a prefix that no known system uses."""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import containers, names, read_checkpoint, to_official
from openmagvit2.checkpoint.containers import state_dicts
from openmagvit2.errors import UserError
from openmagvit2.workflows.convert import convert

CONFIG = 'tiny/vqgan_32'
OPTIMIZER = dict(state={0: dict(exp_avg=torch.ones(3))}, param_groups=[dict(lr=0.1)])


def behind(begin: str, state: dict) -> dict:
    return {begin + name: value for name, value in state.items()}


@pytest.fixture(scope='module')
def ours() -> dict:
    torch.manual_seed(0)
    return init_model(CONFIG).state_dict()


@pytest.fixture(scope='module')
def official(ours) -> dict:
    return to_official(dict(state_dict=ours), init_model(CONFIG, device='meta'))[0]['state_dict']


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    found = []
    for module in (containers, names):
        monkeypatch.setattr(module, 'print_log', lambda text, *_: found.append(text))
    return found


ACCEPTED = {
    'ema': lambda state: dict(ema=state, epoch=3, optimizer=OPTIMIZER),
    'net.ema': lambda state: dict(net=dict(ema=state)),
    'ema ': lambda state: dict(state_dict=dict(ema=state)),
    'model.': lambda state: behind('model.', state),
    'net.vae.': lambda state: dict(state_dict=behind('net.vae.', state)),
    'params': lambda state: dict(params=behind('_orig_mod.', state)),
}


@pytest.mark.parametrize(('message', 'wrap'), ACCEPTED.items(), ids=ACCEPTED.keys())
def test_one_set_of_weights(message, wrap, ours, official, tmp_path, lines):
    torch.save(wrap(ours), tmp_path / 'ours.pth')
    loaded = init_model(CONFIG, tmp_path / 'ours.pth').state_dict()
    assert all(loaded[name].equal(value) for name, value in ours.items())
    assert [f'`{message.strip()}`' in line for line in lines].count(True) == 1
    assert all('ours.pth' in line for line in lines)
    torch.save(wrap(official), tmp_path / 'official.pth')
    convert([tmp_path / 'official.pth'], tmp_path / 'b.pth', CONFIG)
    state = torch.load(tmp_path / 'b.pth', weights_only=True)['state_dict']
    assert state.keys() == ours.keys()
    assert all(state[name].equal(value) for name, value in ours.items())
    assert [f'`{message.strip()}`' in line for line in lines].count(True) == 2


SEVERAL = {
    'two entries': (
        lambda a, b: dict(params=a, ema=b),
        'ema',
        'has several sets of weights (`ema`, `params`): write one to a file of its own with python',
    ),
    'two beginnings': (
        lambda a, b: behind('net.', a) | behind('ema.', b),
        'ema',
        'has the weights of this model under `ema.`, `net.`, beside others: write one set',
    ),
    'a beginning beside others': (
        lambda a, b: dict(state_dict=behind('ema.', b) | {'loss.scale': torch.ones(1)}),
        'ema.',
        'has the weights of this model under `ema.`, beside others: write one set',
    ),
    'an entry and a beginning': (
        lambda a, b: dict(params=a, copies=behind('ema.', b)),
        'copies.ema',
        'has several sets of weights (`copies`, `params`)',
    ),
}


@pytest.mark.parametrize('names', ['ours', 'official'])
@pytest.mark.parametrize(('wrap', 'entry', 'message'), SEVERAL.values(), ids=SEVERAL.keys())
def test_several_sets_of_weights(wrap, entry, message, names, ours, tmp_path, request):
    state = request.getfixturevalue(names)
    other = {name: x + 1 if x.is_floating_point() else x for name, x in state.items()}
    torch.save(wrap(state, other), tmp_path / 'a.pth')
    with pytest.raises(UserError) as error:
        convert([tmp_path / 'a.pth'], tmp_path / 'b.pth', CONFIG)
    assert message in str(error.value) and '--entry ' in str(error.value)
    with pytest.raises(UserError) as error:
        init_model(CONFIG, tmp_path / 'a.pth')
    assert message in str(error.value)
    with pytest.raises(UserError, match="a.pth has no entry 'nothing'; choose one of `"):
        convert([tmp_path / 'a.pth'], tmp_path / 'b.pth', CONFIG, entry='nothing')
    convert([tmp_path / 'a.pth'], tmp_path / 'b.pth', CONFIG, entry=entry)
    loaded = init_model(CONFIG, tmp_path / 'b.pth').state_dict()
    assert all(loaded[name].equal(x + 1) for name, x in ours.items() if x.is_floating_point())


def test_the_tokenizer_in_a_generator(tmp_path):
    generator = init_model('tiny/ar_vqgan_32')
    torch.save(dict(state_dict=generator.state_dict()), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='under `tokenizer.`, beside others.*--entry tokenizer'):
        init_model(CONFIG, tmp_path / 'a.pth')
    convert([tmp_path / 'a.pth'], tmp_path / 'b.pth', CONFIG, entry='tokenizer')
    loaded = init_model(CONFIG, tmp_path / 'b.pth').state_dict()
    kept = {name: x for name, x in loaded.items() if not name.startswith('discriminator.')}
    own = generator.tokenizer.state_dict()
    assert kept and all(own[name].equal(x) for name, x in kept.items())


def test_what_counts_as_weights():
    weights = dict(weight=torch.ones(1))
    content = dict(a=weights, b=dict(c=weights), rng=dict(state=torch.ones(1, dtype=torch.uint8)))
    content |= dict(optimizer=OPTIMIZER, epoch=3, deep=dict(d=dict(e=dict(f=dict(g=weights)))))
    assert state_dicts(content) == {'a': weights, 'b.c': weights}
    assert state_dicts(weights) == {'': weights}


def test_files_of_other_models_keep_their_errors(tmp_path, ours):
    torch.save(dict(a=dict(weight=torch.ones(1))), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='does not fit this config: .*missing.*unexpected'):
        init_model(CONFIG, tmp_path / 'a.pth')
    torch.save(dict(a=3, b='x'), tmp_path / 'b.pth')
    with pytest.raises(UserError, match='does not fit'):
        init_model(CONFIG, tmp_path / 'b.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['state_dict'].keys() == {'weight'}


def test_states_of_another_kind(tmp_path, ours):
    for averages, message in (
        ([1], 'its ema_state_dict holds a list instead of a state dict'),
        ({3: torch.ones(1)}, 'its ema_state_dict holds a dict with keys that are not str'),
    ):
        torch.save(dict(state_dict=ours, ema_state_dict=averages), tmp_path / 'a.pth')
        with pytest.raises(UserError, match=message):
            init_model(CONFIG, tmp_path / 'a.pth')
    torch.save({name: value.to('meta') for name, value in ours.items()}, tmp_path / 'b.pth')
    with pytest.raises(
        UserError, match="b.pth holds tensors without values, such as .*device 'meta'"
    ):
        init_model(CONFIG, tmp_path / 'b.pth')
