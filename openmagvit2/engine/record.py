"""``metrics.json``: metrics, and how they were measured."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner

from openmagvit2.checkpoint import TRAINING_ONLY
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.io import write_text
from openmagvit2.protocols import Stating

PACKAGES = ('torch', 'torchvision', 'torch-fidelity', 'lpips', 'timm')


def write_record(
    runner: Runner,
    values: dict[str, float],
    stage: str,
    metrics: Sequence[BaseMetric],
    checkpoint: dict[str, Any],
    size: int | str = "the config's",
    samples: dict[str, Any] | None = None,
) -> None:
    """Write the record of one evaluation to the work directory, atomically.

    Args:
        runner: The training or the test. The hash of its model's weights, without those that only
            training needs, identifies the checkpoint of a validation.
        values: Metrics by name.
        stage: 'val' or 'test'.
        metrics: The evaluators, which state protocol, network and weights.
        checkpoint: Further information about the weights.
        size: See :func:`openmagvit2.workflows.test.test`.
        samples: How the images were sampled, if they are not from a data set.
    """
    config, loop = runner.cfg, getattr(runner, f'{stage}_loop')
    data, evaluators = config[f'{stage}_dataloader'], config[f'{stage}_evaluator']
    listed = [evaluators] if isinstance(evaluators, dict) else evaluators
    # Evaluations compute in float32.
    roles = runner.optim_wrapper.items() if stage == 'val' else ()
    training = {name: asdict(wrapper.precision) for name, wrapper in roles}
    hashed = weights_hash(unwrap(runner.model), without=TRAINING_ONLY)
    record = dict(
        metrics=values,
        images=len(loop.dataloader.dataset),
        config=str(config.filename),
        checkpoint=dict(checkpoint, weights_sha256=hashed),
        evaluators=[part.to_dict() for part in listed],
        protocol=_protocol(metrics),
        dataset=None if samples else data.dataset.to_dict(),
        samples=samples,
        size=size,
        pad_value=config.model.get('pad_value', 0.0),
        processes=get_world_size(),
        precision=dict(evaluation='float32', training=training),
        numerics=numerics(),
        # onedl-mmengine is another distribution with the same import name.
        versions=dict(mmengine=mmengine.__version__) | {name: version(name) for name in PACKAGES},
    )
    path = Path(runner.work_dir) / 'metrics.json'
    write_text(path, json.dumps(record, indent=2, default=str) + '\n')


def numerics() -> dict[str, Any]:
    """Return the settings of float32 arithmetic in this process."""
    return dict(
        deterministic=torch.are_deterministic_algorithms_enabled(),
        float32_matmul_precision=torch.get_float32_matmul_precision(),
        cudnn_tf32=torch.backends.cudnn.allow_tf32,
        cudnn_benchmark=torch.backends.cudnn.benchmark,
    )


def _protocol(metrics: Sequence[BaseMetric]) -> list[str]:
    """Return the statements of the metrics; those of other packages may have none."""
    return [
        f'{type(metric).__name__}: {metric.statement()}'
        for metric in metrics
        if isinstance(metric, Stating)
    ]
