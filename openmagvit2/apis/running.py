"""Training and testing of a config: what ``tools/train.py`` and ``tools/test.py`` do."""

import copy
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from openmagvit2.checkpoint import load_model_weights, read_checkpoint
from openmagvit2.engine.hooks import find_resume_checkpoint


def build_runner(config: Config, work_dir: str | None = None, launcher: str = 'none') -> Runner:
    """mmengine's Runner of a config; the work directory defaults to ``work_dirs/<config name>``."""
    config = copy.deepcopy(config)
    config.work_dir = work_dir or config.get('work_dir') or os.path.join('work_dirs', Path(config.filename).stem)
    config.launcher = launcher
    # The Runner takes its seed from here, and hands it to the sampler; random transforms get the same.
    config.randomness = dict(seed=config.get('seed', 0))
    config.train_dataloader.dataset.setdefault('seed', config.get('seed', 0))
    return Runner.from_cfg(config)


def train(config: Config, work_dir: str | None = None, resume: str | bool = False, launcher: str = 'none') -> Runner:
    """Train a config to its end.

    Args:
        config: A loaded config.
        work_dir: Receives logs, the merged config and checkpoints.
        resume: A checkpoint, or True for the newest readable one of the work directory (a fresh start where there is none).
        launcher: 'none', 'pytorch', or 'slurm'; the process group exists already.

    Raises:
        ValueError: A user's mistake, told in one sentence.
        TrainingStopped: A signal came; the state is saved.
    """
    config = copy.deepcopy(config)
    folder = work_dir or config.get('work_dir') or os.path.join('work_dirs', Path(config.filename).stem)
    # One process looks and tells the others: views of a shared file system can differ for a while.
    found = [find_resume_checkpoint(folder) if resume is True and is_main_process() else resume]
    broadcast_object_list(found)
    source = found[0]
    if source:
        if 'config' in read_checkpoint(source).get('meta', {}):
            # mmengine would execute it.
            raise ValueError(f'Checkpoint {source} carries a config in `meta.config`, which is not how we write them; remove the key.')
        config.resume, config.load_from = True, str(source)
    runner = build_runner(config, folder, launcher)
    runner.train()
    return runner


def test(config: Config, checkpoint: str, work_dir: str | None = None, launcher: str = 'none') -> dict[str, float]:
    """Metrics of a checkpoint by the config's ``test_evaluator``; averaged weights where there are any."""
    read_checkpoint(checkpoint)
    config = copy.deepcopy(config)
    # A config tests on what it validates on, unless it says otherwise.
    config.setdefault('test_dataloader', config.val_dataloader)
    config.setdefault('test_evaluator', config.val_evaluator)
    config.setdefault('test_cfg', dict(type='TestLoop'))
    runner = build_runner(config, work_dir, launcher)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    load_model_weights(model, checkpoint)
    return runner.test()
