"""Models that are built only for the names and shapes of their tensors."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

from openmagvit2.checkpoint.unfilled import Unfilled
from openmagvit2.registry import MODELS


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress log lines below warnings, such as those about keys that a config drops."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        yield
    finally:
        logger.setLevel(level)


def bare_model(config: Config) -> nn.Module:
    """Build the model of a config without initial weights.

    A checkpoint is compared with it before the Runner is built, which prints the whole config.
    """
    with Unfilled():
        return MODELS.build(config.model)
