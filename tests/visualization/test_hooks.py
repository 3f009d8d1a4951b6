"""Image grids and logs of a short training."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from plot import read_curves

import openmagvit2.workflows.runner as runners
from openmagvit2.apis import Generator, Tokenizer, init_model
from openmagvit2.config import load_config
from openmagvit2.engine.hooks import IterationLoggerHook
from openmagvit2.errors import UserError
from openmagvit2.models.conditioners.base import Conditioner
from openmagvit2.registry import DATASETS
from openmagvit2.visualization.hooks import ReconstructionGridHook, SampleGridHook
from openmagvit2.workflows.train import train

CONFIGS = Path(__file__).parents[2] / 'configs' / 'tiny'
OPTIONS = {'train_cfg.max_iters': 3, 'train_cfg.val_interval': 2, 'global_batch_size': 8}


def cells(path: Path, size: int = 32, gap: int = 2) -> np.ndarray:
    """Split a grid into its images (rows, columns, size, size, 3)."""
    grid = np.array(Image.open(path))
    step = size + gap
    rows, columns = ((n + gap) // step for n in grid.shape[:2])
    return np.array(
        [
            [grid[i * step :][:size, j * step :][:, :size] for j in range(columns)]
            for i in range(rows)
        ]
    )


def test_reconstructions_and_log(tmp_path):
    config = load_config(CONFIGS / 'lfq_32.py', OPTIONS)
    train(config, str(tmp_path))
    assert sorted(path.name for path in (tmp_path / 'grids').iterdir()) == [
        'reconstructions_iter_2.png',
        'reconstructions_iter_3.png',
    ]
    originals, reconstructions = cells(tmp_path / 'grids' / 'reconstructions_iter_3.png')
    dataset = DATASETS.build(config.val_dataloader.dataset)
    images = [dataset[i]['image'].permute(1, 2, 0).numpy() for i in range(8)]
    assert np.array_equal(originals, images)
    # The grid shows the averaged weights, which the checkpoint contains and the API loads.
    tokenizer = Tokenizer.from_config(tmp_path / 'lfq_32.py', tmp_path / 'iter_3.pth')
    again = tokenizer.decode(tokenizer.encode(images))
    assert np.abs(reconstructions.astype(int) - again).max() <= 1
    curves = read_curves(tmp_path)
    assert list(curves['loss']) == [1, 3] and list(curves['psnr']) == [2, 3]


def test_histories_stay_short(tmp_path, monkeypatch):
    monkeypatch.setattr(IterationLoggerHook, 'kept', 3)
    options = {
        'train_cfg.max_iters': 12,
        'global_batch_size': 2,
        'default_hooks.logger.interval': 4,
    }
    runner = train(
        load_config(
            CONFIGS / 'lfq_32.py', dict(options, **{'val_dataloader.dataset.num_images': 10})
        ),
        str(tmp_path),
    )
    lengths = {
        len(buffer.data[0])
        for name, buffer in runner.message_hub.log_scalars.items()
        if name.endswith('loss')
    }
    assert lengths == {3}


def test_samples(tmp_path):
    config = load_config(CONFIGS / 'ar_32.py', OPTIONS)
    train(config, str(tmp_path))
    grid = cells(tmp_path / 'grids' / 'samples_iter_3.png')
    assert grid.shape[:2] == (10, 4)
    generator = Generator.from_config(tmp_path / 'ar_32.py', tmp_path / 'iter_3.pth')
    assert np.abs(grid[7].astype(int) - generator.sample([7] * 4, seed=0)).max() <= 1


def test_images_of_several_sizes(tmp_path):
    shown: list[tuple] = []
    visualizer = SimpleNamespace(add_image=lambda name, grid, step: shown.append((name, step)))
    runner = SimpleNamespace(work_dir=str(tmp_path), iter=3, visualizer=visualizer)
    hook = ReconstructionGridHook()
    hook.before_val_epoch(runner)
    for height, width, value in ((4, 6, -1.0), (8, 3, 0.0)):
        image = torch.full((1, 3, height, width), value)
        hook.after_val_iter(runner, 0, outputs=[dict(image=image, reconstruction=image)])
    hook.after_val_epoch(runner, dict(psnr=1.0))
    grid = np.asarray(Image.open(tmp_path / 'grids' / 'reconstructions_iter_3.png'))
    assert grid.shape == (8 + 2 + 8, 6 + 2 + 6, 3) and shown == [('reconstructions', 3)]
    assert (grid[10:14, :6] == 0).all() and (grid[10:, 8:11] == 128).all()


def test_samples_of_conditions_that_are_no_classes(tmp_path):
    conditioner = Conditioner()
    model = SimpleNamespace(conditioner=conditioner, check=lambda labels, sampling, seed: None)
    runner = SimpleNamespace(model=model, cfg={})
    with pytest.raises(UserError, match='not conditioned on class labels; give SampleGridHook'):
        SampleGridHook().before_train(runner)
    hook = SampleGridHook(labels=['a cat', 'a dog'])
    hook.before_train(runner)
    assert hook.shown == ['a cat', 'a dog']


def test_settings_that_do_not_fit_are_refused_before_the_training():
    model = init_model('tiny/ar_32')
    for sampling, message in ((dict(guidance=[1, 2, 3]), 'guidance'), (dict(top_p=2), 'top_p')):
        runner = SimpleNamespace(model=model, cfg=dict(eval_sampling=sampling))
        with pytest.raises(UserError, match=f'sampling.{message}'):
            SampleGridHook().before_train(runner)


@pytest.mark.slow
def test_one_line_of_the_config_names_who_watches(tmp_path):
    """TensorBoard and local files receive losses, metrics, usage and grids."""
    accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator',
        reason='needs pip install tensorboard',
    )
    backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    options = OPTIONS | {'visualizer': dict(type='Visualizer', vis_backends=backends)}
    config = load_config(CONFIGS / 'lfq_32.py', options)
    runner = train(config, str(tmp_path))
    runner.visualizer.close()
    (folder,) = tmp_path.glob('*/vis_data')
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()
    wanted = {'loss', 'psnr', 'usage', 'entropy'}
    assert wanted <= set(tags['scalars']) and tags['images'] == ['reconstructions']
    assert [event.step for event in events.Scalars('psnr')] == [2, 3]
    local = np.array(Image.open(folder / 'vis_image' / 'reconstructions_3.png'))
    assert np.array_equal(
        local, np.array(Image.open(tmp_path / 'grids' / 'reconstructions_iter_3.png'))
    )


@pytest.mark.parametrize(
    'backend, package', [('TensorboardVisBackend', 'tensorboard'), ('WandbVisBackend', 'wandb')]
)
def test_backends_name_the_package_that_is_missing(tmp_path, monkeypatch, backend, package):
    monkeypatch.setattr(runners, 'find_spec', lambda name: None)
    visualizer = dict(type='Visualizer', vis_backends=[dict(type=backend)])
    config = load_config(CONFIGS / 'lfq_32.py', dict(OPTIONS, visualizer=visualizer))
    with pytest.raises(UserError, match=rf'{backend} needs the package {package}: pip install'):
        runners.build_runner(config, str(tmp_path / 'run'))
    assert not (tmp_path / 'run').exists()
