"""Sharded training equals that of one process, and its checkpoints resume in both ways."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.distributed.fsdp
from card_checks import StopAfter
from plot import read_curves
from torch import nn
from torch.testing import assert_close
from two_processes import run_in_two

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import TRAINING_ONLY, read_checkpoint
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.config import load_config
from openmagvit2.engine.hooks import ResumableCheckpointHook
from openmagvit2.engine.optim import RoleOptimConstructor
from openmagvit2.engine.parallel import RoleFSDP, fsdp
from openmagvit2.engine.parallel.shards import DTensor, like, part, whole
from openmagvit2.errors import TrainingStopped, UserError
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'ar_32.py'
PARTS = ('class_embedding', 'backbone', 'head')
needs_fsdp = pytest.mark.skipif(
    not hasattr(torch.distributed.fsdp, 'fully_shard'), reason='RoleFSDP needs torch 2.6'
)


def config(wrapper: str = 'RoleFSDP', sharded: bool = False):
    loaded = load_config(
        CONFIG,
        {
            'train_cfg.val_interval': 10,
            'optim_wrapper.dtype': 'float32',
            'model_wrapper_cfg.type': wrapper,
            # An odd number, so that the processes have batches of different sizes.
            'val_dataloader.dataset.num_images': 13,
            'default_hooks.logger.interval': 1,
            'default_hooks.checkpoint.sharded': sharded,
        },
    )
    ema = dict(type='SubmoduleEMAHook', modules=PARTS, momentum=0.1)
    loaded.custom_hooks = [ema, dict(type='SampleGridHook', labels=[0, 1], num_per_class=1)]
    return loaded


def go_on(
    folder: Path, until: int, sharded: bool, wrapper: str = 'RoleFSDP', launcher: str = 'none'
) -> None:
    """Resume the training in a folder up to an iteration of its 20."""
    again = config(wrapper, sharded)
    # Checkpointed blocks are gathered once more.
    again.model.backbone.checkpoint_blocks = until < 11
    try:
        train(again, str(folder), True, launcher, hooks=[StopAfter(until)])
    except TrainingStopped as stopped:
        assert stopped.iteration == until
    else:
        assert until == 20


def _first(rank: int, folder: str) -> None:
    runner = train(config(), f'{folder}/two', launcher='pytorch')
    assert isinstance(runner.model, RoleFSDP)
    _check_non_finite(runner, rank)
    _save_in_evaluation(runner)
    _check_parts()
    go_on(Path(folder, 'chain'), 6, True, launcher='pytorch')


def _check_non_finite(runner, rank: int) -> None:
    """A NaN in one process makes both skip the step."""
    runner.model.train()
    assert all(isinstance(p, DTensor) for p in runner.model.module.backbone.parameters())
    wrapper = runner.optim_wrapper['transformer']
    parameters = list(runner.model.module.backbone.parameters())
    before = [part(p.detach()).clone() for p in parameters]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    part(parameters[0].grad)[0] = math.nan if rank == 1 else 0.0
    wrapper.skip_non_finite = True
    wrapper.step()
    assert wrapper.skipped == 1 and not bool(wrapper.finite)
    assert all(part(p).equal(old) for p, old in zip(parameters, before, strict=True))


def _check_parts() -> None:
    """Shard numbers of rows that are not divisible by the number of processes."""
    for rows in (1, 3):
        torch.manual_seed(rows)
        layer = nn.Linear(2, rows)
        full = {name: value.detach().clone() for name, value in layer.named_parameters()}
        fsdp._fully_shard()(layer, mesh=dist.init_device_mesh('cpu', (2,)))
        for name, own in layer.named_parameters():
            found = like(full[name], own)
            assert part(found).equal(part(own.detach())) and found.shape == own.shape
            assert whole(found).equal(full[name])


def _save_in_evaluation(runner) -> None:
    """Save as the hook saves the best weights of a validation."""
    runner.model.eval()
    assert not any(isinstance(p, DTensor) for p in runner.model.module.parameters())
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, ResumableCheckpointHook))
    hook._save(runner, 'best_nll')


def _later(rank: int, folder: str) -> None:
    chain = Path(folder, 'chain')
    for until, sharded, wrapper in (
        # Resume a file of one process, shards, and shards without sharding; then shard again.
        (13, True, 'RoleFSDP'),
        (15, True, 'RoleFSDP'),
        (17, False, 'RoleDDP'),
        (20, True, 'RoleFSDP'),
    ):
        go_on(chain, until, sharded, wrapper, 'pytorch')


def tensors(value: object, path: str = '') -> Iterator[tuple[str, torch.Tensor]]:
    """Yield tensors and numbers within dicts and lists."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tensors(item, f'{path}.{key}')
    elif isinstance(value, (torch.Tensor, int, float)):
        yield path, torch.as_tensor(value)


def scalars(folder: Path, key: str) -> list[float]:
    return list(read_curves(folder)[key].values())


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fsdp')
    train(config(), str(folder / 'one'))
    run_in_two(_first, folder)
    go_on(folder / 'chain', 11, False)
    (folder / 'rendezvous').unlink(missing_ok=True)
    run_in_two(_later, folder)
    return folder


@needs_fsdp
@pytest.mark.slow
@pytest.mark.smoke
# The first is sharded throughout. The second is sharded, in one process, replicated in two, and
# sharded again, with checkpoints of both kinds.
@pytest.mark.parametrize('last', ['two/iter_20.pth', 'chain/iter_20.dcp'])
def test_two_processes_equal_one(folder, last):
    one, other = read_checkpoint(folder / 'one' / 'iter_20.pth'), read_checkpoint(folder / last)
    for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
        found, expected = dict(tensors(other[key])), dict(tensors(one[key]))
        assert found.keys() == expected.keys()
        assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert all(type(value) is torch.Tensor for value in other['state_dict'].values())


@needs_fsdp
@pytest.mark.slow
@pytest.mark.smoke
def test_the_best_of_a_validation_is_whole(folder):
    best, last = (
        dict(tensors(read_checkpoint(folder / 'two' / name)))
        for name in ('best_nll.pth', 'iter_20.pth')
    )
    weights = [name for name in last if name.startswith(('.state_dict.', '.optimizer.'))]
    assert all(best[name].equal(last[name]) for name in weights) and len(weights) > 50


@needs_fsdp
@pytest.mark.slow
@pytest.mark.smoke
def test_losses_and_clipped_norms_are_those_of_one_process(folder):
    for key in ('loss', 'transformer.grad_norm'):
        assert scalars(folder / 'two', key) == pytest.approx(scalars(folder / 'one', key), rel=1e-4)


@needs_fsdp
@pytest.mark.slow
@pytest.mark.smoke
def test_the_validated_weights_are_those_of_the_file(folder):
    one, two = (json.loads((folder / way / 'metrics.json').read_text()) for way in ('one', 'two'))
    assert two['metrics'] == pytest.approx(one['metrics'], rel=1e-4)
    model = init_model(CONFIG, folder / 'two' / 'iter_20.pth', 'cpu')
    # Of the averages, which are gathered in each process.
    assert two['checkpoint']['weights_sha256'] == weights_hash(model, without=TRAINING_ONLY)
    assert (folder / 'two' / 'grids' / 'samples_iter_20.png').is_file()


@needs_fsdp
@pytest.mark.slow
@pytest.mark.smoke
def test_each_process_writes_its_part(folder):
    last = folder / 'chain' / 'iter_20.dcp'
    one, two = ((last / f'__{rank}_0.distcp').stat().st_size for rank in (0, 1))
    assert 0.5 < two / one < 2
    # The two newest checkpoints are kept, a file and a folder.
    assert sorted(path.name for path in last.parent.glob('iter_*')) == ['iter_17.pth', last.name]
    assert not list(last.parent.glob('.tmp-*'))


def test_an_older_torch_is_refused(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'torch.distributed.fsdp', nn)
    with pytest.raises(UserError, match='RoleFSDP needs torch 2.6 or newer, this is'):
        fsdp._fully_shard()


@pytest.mark.parametrize('kind', ['TorchAdafactor', 'AdamW', 'SGD', 'LBFGS'])
def test_states_of_other_shapes_are_refused_by_name(monkeypatch, kind):
    monkeypatch.setattr('openmagvit2.engine.optim.constructor.DTensor', nn.Parameter)
    model = nn.Module()
    model.roles = lambda: dict(transformer=nn.Linear(3, 2))
    build = RoleOptimConstructor(dict(transformer=dict(optimizer=dict(type=kind, lr=0.1))))
    if kind == 'TorchAdafactor':
        if not hasattr(torch.optim, 'Adafactor'):
            pytest.skip('torch.optim.Adafactor is of torch 2.5')
        with pytest.raises(UserError, match='Adafactor: its states row_var, col_var do.*RoleDDP'):
            build(model)
    elif kind == 'LBFGS':
        # The training loop passes no closure, sharded or not.
        with pytest.raises(UserError, match='transformer.optimizer: LBFGS.*closure'):
            build(model)
    else:
        assert build(model)['transformer'].optimizer.param_groups


@needs_fsdp
def test_tokenizers_are_refused_by_name():
    model = nn.Module()
    model.roles = lambda: dict(autoencoder=nn.Linear(1, 1), discriminator=nn.Linear(1, 1))
    with pytest.raises(UserError, match='RoleFSDP shards generators; Module trains autoencoder'):
        RoleFSDP(model)
