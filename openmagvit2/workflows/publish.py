"""Publishing of the weights of a training as a model folder, as in ``tools/publish.py``."""

import json
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.apis.folder_contents import model_name
from openmagvit2.apis.init_model import init_model
from openmagvit2.checkpoint import TRAINING_ONLY, dataset_meta, load_model_weights
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.config import load_config
from openmagvit2.engine.resume.run_folder import RUN, newest, read_run
from openmagvit2.errors import UserError
from openmagvit2.io import usable


def publish(
    work_dir: str | Path,
    target: str | Path,
    weights: str = 'averaged',
    checkpoint: str | Path | None = None,
) -> str:
    """Write the weights of a training to a folder for ``from_pretrained`` and the hub.

    Args:
        work_dir: Work directory of a training.
        target: Folder to write.
        weights: 'averaged' or 'raw'.
        checkpoint: Checkpoint of the training; by default, the newest readable one of its run.

    Returns:
        SHA-256 of the weights, as in ``metrics.json``.

    Raises:
        UserError: The folder is not a work directory, or has no checkpoint.
    """
    work_dir = Path(work_dir)
    run = read_run(usable(work_dir))
    if run is None:
        raise UserError(
            f'{work_dir} is not the work directory of a training, because it has no {RUN}.'
        )
    if checkpoint is None:
        found = newest(work_dir)
        if found is None:
            raise UserError(f'{work_dir} has no checkpoint.')
        checkpoint = found[0]
    config = load_config(work_dir / Path(run.config).name)
    model = init_model(config, device='cpu')
    content = load_model_weights(model, checkpoint, ema=weights == 'averaged')
    model.dataset_meta = dataset_meta(content)
    hashed = weights_hash(model, without=TRAINING_ONLY)
    door = (Generator if is_generator(model) else Tokenizer)(model, config=config)
    name = model_name(Config(filename=run.config))
    door.save_pretrained(target, name, _metrics(work_dir, hashed))
    return hashed


def _metrics(work_dir: Path, hashed: str) -> dict[str, Any] | None:
    """Return the content of ``metrics.json`` if these weights were measured."""
    path = work_dir / 'metrics.json'
    if not path.is_file():
        return None
    try:
        metrics = json.loads(path.read_text(encoding='utf-8'))
        measured = metrics['checkpoint']['weights_sha256']
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path} cannot be read ({error!r}); remove it, or run tools/test.py again.'
        ) from error
    if measured == hashed:
        return metrics
    print_log(f'{path} describes other weights, so the model card has no measurements.', 'current')
    return None
