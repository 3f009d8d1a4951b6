"""Warn if a checkpoint was trained with another config of the model."""

import logging
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from openmagvit2.config.version_1 import translated
from openmagvit2.engine.resume.changes import model_differences, read_settings


def say_other_model(config: Config, checkpoint: dict[str, Any], source: str) -> None:
    """Log each setting of the model in which a config differs from that of a checkpoint.

    The weights may fit all the same, for example with another image size.

    Args:
        config: The config, which is used.
        checkpoint: Content of the checkpoint; only those of a training have a config.
        source: Name of the checkpoint, for messages.
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, dict) else None
    before, now = (
        translated(read_settings(text), {}, say=False).get('model')
        for text in (str(text), f'model = {config.model.to_dict()!r}')
    )
    for line in model_differences(before, now):
        print_log(f'{source} was trained with other settings: {line}', 'current', logging.WARNING)
