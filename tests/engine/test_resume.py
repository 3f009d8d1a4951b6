"""A training that is stopped and resumed ends bit for bit like an uninterrupted one."""

import functools
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from soak import COMPARED
from two_processes import run_in_two

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.engine.resume.run_folder import newest
from openmagvit2.engine.stop import StopRequest
from openmagvit2.errors import TrainingStopped
from openmagvit2.registry import HOOKS
from openmagvit2.workflows.runner import build_runner
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.train import train

CONFIGS = Path(__file__).parents[2] / 'configs' / 'tiny'


@HOOKS.register_module()
class SignalHook(Hook):
    """Send SIGTERM to this process after an iteration, or in a validation."""

    def __init__(self, iteration: int, in_validation: bool = False, rank: int = 0) -> None:
        self.iteration, self.in_validation = iteration, in_validation
        self.here = rank == get_rank()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self.here and not self.in_validation and batch_idx + 1 == self.iteration:
            signal.raise_signal(signal.SIGTERM)

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        if self.here and self.in_validation and runner.iter == self.iteration and batch_idx == 1:
            signal.raise_signal(signal.SIGTERM)


def config(workers: int, counts: int, hook: dict | None = None, family: str = 'lfq_32'):
    options = {
        'train_cfg.max_iters': 8,
        'train_cfg.val_interval': 4,
        'train_dataloader.num_workers': workers,
        'optim_wrapper.accumulative_counts': counts,
        'global_batch_size': 4,
        # Two batches per validation for each of two processes.
        'val_dataloader.batch_size': 4,
        'val_dataloader.dataset.num_images': 16,
    }
    loaded = load_config(CONFIGS / f'{family}.py', options)
    if hook:
        loaded.custom_hooks = [*loaded.get('custom_hooks', []), hook]
    return loaded


def assert_equal(a: object, b: object, path: str = '') -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_equal(a[key], b[key], f'{path}.{key}')
    elif isinstance(a, (list, tuple)):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f'{path}.{i}')
    elif isinstance(a, torch.Tensor):
        assert a.equal(b), path
    else:
        assert a == b, path


@pytest.fixture(scope='module')
def straight(tmp_path_factory) -> Callable[[str, int, int], Path]:
    """Return uninterrupted trainings by config, loader workers and micro-batches."""

    @functools.cache
    def folder(family: str, workers: int, counts: int) -> Path:
        made = tmp_path_factory.mktemp('straight')
        train(config(workers, counts, family=family), str(made))
        return made

    return folder


@pytest.mark.parametrize('family', ['lfq_32', 'ar_32'])
@pytest.mark.parametrize(
    ('iteration', 'in_validation', 'workers', 'counts'),
    [(3, False, 0, 1), (5, False, 2, 2), (4, True, 0, 1)],
)
def test_resume_is_exact(tmp_path, straight, iteration, in_validation, workers, counts, family):
    halves = tmp_path / 'halves'
    hook = dict(type='SignalHook', iteration=iteration, in_validation=in_validation)
    with pytest.raises(TrainingStopped) as stopped:
        train(config(workers, counts, hook, family), str(halves))
    assert stopped.value.iteration == iteration
    assert newest(halves)[0] == halves / f'iter_{iteration}.pth'
    train(config(workers, counts, family=family), str(halves), resume=True)
    unbroken = straight(family, workers, counts)
    a, b = (read_checkpoint(folder / 'iter_8.pth') for folder in (unbroken, halves))
    hooks = load_config(CONFIGS / f'{family}.py').custom_hooks
    averaged = any(hook['type'] == 'SubmoduleEMAHook' for hook in hooks)
    assert ('ema_state_dict' in a) == averaged
    for key in set(COMPARED) & a.keys():
        assert_equal(a[key], b[key], key)


# Each has a part with state that the two above lack; LlamaGen's drop path draws random numbers.
FAMILIES = (
    'ar_llamagen_32 rq_32 ar_rq_32 var_tokenizer_32 var_32 infinity_32 lfq_grouped_32 bsq_32 '
    'omni_tokenizer_32 titok_32 titok_stage1_32 titok_stage2_32 titok_ar_32 titok_ar_uvit_32 '
    'vit_vqgan_32 vit_vqgan_ar_32 maskgit_32 rar_32 cosmos_32 show_o_32 ibq_32 ar_ibq_32 '
    'vqgan_32 vq_32 fsq_32 ar_32_separate titok_proxy_32 sd_vq_32 maskgit_vq_32'
).split()


@pytest.mark.slow
@pytest.mark.parametrize('family', FAMILIES)
def test_resume_is_exact_with_other_parts(tmp_path, straight, family):
    test_resume_is_exact(tmp_path, straight, 3, False, 0, 1, family)


@pytest.mark.slow
def test_resume_is_exact_with_r1_and_lecam_of_means(tmp_path, straight):
    test_resume_is_exact(tmp_path, straight, 3, False, 0, 2, 'magvit2_32')


def test_a_torn_checkpoint_is_skipped_and_metrics_need_no_override(tmp_path):
    runner = train(config(0, 1), str(tmp_path / 'run'))
    merged = tmp_path / 'run' / 'lfq_32.py'
    metrics = run_test(
        load_config(merged),
        str(tmp_path / 'run' / 'iter_8.pth'),
    )
    assert metrics == runner.val_loop.run()
    (tmp_path / 'run' / 'iter_9.pth').write_bytes(b'half a file')
    assert newest(tmp_path / 'run')[0] == tmp_path / 'run' / 'iter_8.pth'


def test_a_checkpoint_with_a_config_to_execute_is_refused(tmp_path):
    file = tmp_path / 'iter_4.pth'
    torch.save(dict(state_dict={}, meta=dict(config='raise SystemExit')), file)
    with pytest.raises(ValueError, match='carries a config'):
        train(config(0, 1), str(tmp_path), resume=str(file))


def test_global_batch_must_divide(tmp_path):
    with pytest.raises(ValueError, match='global_batch_size=4 is not divisible'):
        train(config(0, 3), str(tmp_path))


def test_a_model_without_micro_batches_is_refused_before_the_first_image(tmp_path):
    cut = config(0, 2)
    table = dict(type='VQ', codebook_size=16, code_dim=8, l2_norm=False, ema_decay=0.9)
    cut.model.quantizer = dict(type='Residual', quantizer=table, depth=2)
    seen = []
    hook = SignalHook(0, False)
    hook.before_train = hook.before_train_iter = lambda *args, **more: seen.append(args)
    with pytest.raises(ValueError, match='^model.quantizer: Residual over .*accumulative_counts'):
        train(cut, str(tmp_path), hooks=[hook])
    assert not seen


def test_resume_from_an_older_file_keeps_what_it_writes(tmp_path):
    folder = tmp_path / 'run'
    first = config(0, 1)
    first.default_hooks.checkpoint.update(interval=2, max_keep=4)
    train(first, str(folder))
    assert sorted(path.name for path in folder.glob('*.pth')) == [
        'iter_2.pth',
        'iter_4.pth',
        'iter_6.pth',
        'iter_8.pth',
    ]
    hook = dict(type='SignalHook', iteration=3)
    with pytest.raises(TrainingStopped):
        train(config(0, 1, hook), str(folder), resume=str(folder / 'iter_2.pth'))
    assert (folder / 'iter_3.pth').is_file()
    # Each iteration is in the histories once, also the first one after a resume.
    for done in (2, 3, 8):
        hub = read_checkpoint(folder / f'iter_{done}.pth')['message_hub']
        for name in ('loss', 'autoencoder.lr', 'time', 'data_time'):
            values, counts = hub['log_scalars'][f'train/{name}']
            assert len(values) == sum(counts) == done, (done, name)


def test_loading_weights_is_not_a_resume(tmp_path, straight):
    old = straight('lfq_32', 0, 1) / 'iter_8.pth'
    new = config(0, 1)
    new.load_from = str(old)
    train(new, str(tmp_path))
    old, weights = (read_checkpoint(file)['state_dict'] for file in (old, tmp_path / 'iter_8.pth'))
    assert any(not old[key].equal(weights[key]) for key in old)


def test_a_runner_resumes_by_its_config(tmp_path, straight):
    folder = straight('lfq_32', 0, 1)
    runner = build_runner(config(0, 1), str(tmp_path / 'a'))
    runner.resume(str(folder / 'iter_8.pth'))
    with pytest.raises(ValueError, match=r'Runner\.resume does not restore .* set resume=True and'):
        runner.train()
    # mmengine finds the checkpoint by this file.
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b' / 'last_checkpoint').write_text(str(folder / 'iter_8.pth'))
    resumed = config(0, 1)
    resumed.resume = True
    runner = build_runner(resumed, str(tmp_path / 'b'))
    runner.train()
    assert runner.train_loop.samples_seen == 32


def test_a_role_has_no_accumulation_of_its_own(tmp_path):
    loaded = config(0, 1)
    loaded.optim_wrapper.discriminator.accumulative_counts = 4
    message = r'optim_wrapper.discriminator.accumulative_counts: set optim_wrapper.accum'
    with pytest.raises(ValueError, match=message):
        train(loaded, str(tmp_path))


def test_batch_size_of_the_loader_is_refused(tmp_path):
    loaded = config(0, 1)
    loaded.train_dataloader.batch_size = 4
    with pytest.raises(ValueError, match='set global_batch_size'):
        train(loaded, str(tmp_path))


def test_a_signal_during_the_agreement_counts_at_the_next_one(monkeypatch):
    request = StopRequest()
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.distributed, 'get_world_size', lambda: 2)
    monkeypatch.setattr(torch.distributed, 'new_group', lambda backend: 'group')
    monkeypatch.setattr(
        torch.distributed, 'all_reduce', lambda flag, op, group: request(signal.SIGTERM, None)
    )
    assert not request.agreed()
    assert request.agreed() and request.signal_number == signal.SIGTERM


def _two_processes(rank: int, folder: str, family: str) -> None:
    root = Path(folder)
    # Stops after an iteration, after one with two micro-batches and loader workers, and in a
    # validation; only one process gets the signal.
    stops = [(3, False, 0, 1), (5, False, 2, 2), (4, True, 0, 1)]
    for i, (iteration, in_validation, workers, counts) in enumerate(stops):
        hook = dict(type='SignalHook', iteration=iteration, in_validation=in_validation, rank=i % 2)
        train(
            config(workers, counts, family=family),
            str(root / f'straight_{i}'),
            launcher='pytorch',
        )
        try:
            train(
                config(workers, counts, hook, family),
                str(root / f'halves_{i}'),
                launcher='pytorch',
            )
        except TrainingStopped as stopped:
            assert stopped.iteration < 8
        else:
            raise AssertionError('the signal did not stop the training')
        train(
            config(workers, counts, family=family),
            str(root / f'halves_{i}'),
            True,
            launcher='pytorch',
        )


@pytest.mark.slow
@pytest.mark.parametrize('family', [pytest.param('lfq_32', marks=pytest.mark.smoke), 'ar_32'])
def test_two_processes_resume(tmp_path, family):
    run_in_two(_two_processes, tmp_path, family)
    for i in range(3):
        a, b = (
            read_checkpoint(tmp_path / f'{name}_{i}' / 'iter_8.pth')
            for name in ('straight', 'halves')
        )
        assert len(a['random_states']) == 2
        for key in set(COMPARED) & a.keys():
            assert_equal(a[key], b[key], f'{i}.{key}')
