"""What is said where a config's model is not the one that a checkpoint was trained as."""

import logging
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from openmagvit2.config.version_1 import translated
from openmagvit2.engine.resume.changes import model_differences, read_settings


def say_other_model(config: Config, checkpoint: dict[str, Any], source: str) -> None:
    """Log each setting in which a config's model differs from the one of a training, as the size of
    its images, which may fit the weights all the same.

    Args:
        config: The config, which wins.
        checkpoint: Content of the training's checkpoint; other files say nothing.
        source: Name of the checkpoint.
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, dict) else None
    before, now = (
        translated(read_settings(text), {}, say=False).get('model')
        for text in (str(text), f'model = {config.model.to_dict()!r}')
    )
    for line in model_differences(before, now):
        print_log(f'{source} was trained otherwise: {line}', 'current', logging.WARNING)
