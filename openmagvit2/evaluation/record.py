"""``metrics.json``: metrics, and how they were measured."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mmengine
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from torch import nn

from openmagvit2.checkpoint import TRAINING_ONLY
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.io import write_text
from openmagvit2.protocols import Stating

if TYPE_CHECKING:
    from openmagvit2.engine.precision import Precision

PACKAGES = ('torch', 'torchvision', 'torch-fidelity', 'lpips', 'timm')


def write_record(
    folder: str | Path,
    values: dict[str, float],
    *,
    config: Config,
    stage: str,
    metrics: Sequence[BaseMetric],
    images: int,
    model: nn.Module,
    checkpoint: dict[str, Any],
    size: int | str = "the config's",
    trained_in: 'dict[str, Precision] | None' = None,
    samples: dict[str, Any] | None = None,
) -> None:
    """Write the record of one evaluation atomically.

    Args:
        folder: Folder of ``metrics.json``.
        values: Metrics by name.
        config: The Runner's config; the record contains its file name, ``<stage>_evaluator`` and
            ``<stage>_dataloader``.
        stage: 'val' or 'test'.
        metrics: The evaluators, which state protocol, network and weights.
        images: Number of evaluated images.
        model: The evaluated model. The hash of its weights, without those that only training needs,
            identifies the checkpoint of a validation.
        checkpoint: Further information about the weights.
        size: See :func:`openmagvit2.workflows.test.test`.
        trained_in: Compute type of each role in a training; evaluations compute in float32.
        samples: How the images were sampled, if they are not from a data set.
    """
    record = dict(
        metrics=values,
        images=images,
        config=str(config.filename),
        checkpoint=dict(checkpoint, weights_sha256=weights_hash(model, without=TRAINING_ONLY)),
        evaluators=_dicts(config[f'{stage}_evaluator']),
        protocol=_protocol(metrics),
        dataset=None if samples else config[f'{stage}_dataloader'].dataset.to_dict(),
        samples=samples,
        size=size,
        pad_value=config.model.get('pad_value', 0.0),
        processes=get_world_size(),
        precision=_precision(trained_in or {}),
        numerics=numerics(),
        versions=_versions(),
    )
    path = Path(folder) / 'metrics.json'
    write_text(path, json.dumps(record, indent=2, default=str) + '\n')


def numerics() -> dict[str, Any]:
    """Return the settings of float32 arithmetic in this process."""
    return dict(
        deterministic=torch.are_deterministic_algorithms_enabled(),
        float32_matmul_precision=torch.get_float32_matmul_precision(),
        cudnn_tf32=torch.backends.cudnn.allow_tf32,
        cudnn_benchmark=torch.backends.cudnn.benchmark,
    )


def _dicts(evaluators: ConfigDict | Sequence[ConfigDict]) -> list[dict]:
    listed = [evaluators] if isinstance(evaluators, dict) else evaluators
    return [part.to_dict() for part in listed]


def _protocol(metrics: Sequence[BaseMetric]) -> list[str]:
    """Return the statements of the metrics; those of other packages may have none."""
    return [
        f'{type(metric).__name__}: {metric.statement()}'
        for metric in metrics
        if isinstance(metric, Stating)
    ]


def _precision(trained_in: 'dict[str, Precision]') -> dict:
    training = {name: asdict(own) for name, own in trained_in.items()}
    return dict(evaluation='float32', training=training)


def _versions() -> dict[str, str]:
    # onedl-mmengine is another distribution with the same import name.
    return dict(mmengine=mmengine.__version__) | {name: version(name) for name in PACKAGES}
