"""Build a model from a config and a checkpoint."""

import contextlib
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor, nn

from openmagvit2.apis.models import config_path
from openmagvit2.apis.official import load_official
from openmagvit2.apis.other_model import say_other_model
from openmagvit2.checkpoint import dataset_meta, load_model_weights
from openmagvit2.checkpoint.unfilled import on_meta
from openmagvit2.config import load_config
from openmagvit2.engine.device import default_device, usable_device
from openmagvit2.engine.precision import fastest_precision
from openmagvit2.errors import UserError
from openmagvit2.models.quantizers.base import BaseQuantizer
from openmagvit2.registry import MODELS


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    cfg_options: dict[str, Any] | None = None,
    dtype: torch.dtype | str | None = None,
    pretrained: bool = False,
) -> nn.Module:
    """Build the model of a config, in eval mode.

    Args:
        config: Path of a config file, a name from :func:`list_models`, or a loaded config.
        checkpoint: A ``.pth`` or ``.safetensors`` file, whose averaged weights are preferred; None
            for random weights.
        device: Defaults to the accelerator, under a launcher that of the local rank, or to the CPU
            if there is none.
        cfg_options: Overrides by dotted path.
        dtype: Type of weights and computation: 'float32' (the default), 'bfloat16', 'float16', a
            ``torch.dtype``, or 'auto' for bfloat16 if the device is faster with it
            (:func:`fastest_precision`). Quantizers stay in float32, because indices that are
            computed in lower precision collapse.
        pretrained: Whether to load the weights that the system's authors published: the files in
            ``metafile.yml``, from the Hugging Face hub. ``config`` must be a name from
            :func:`list_models`.

    Returns:
        The model. With a checkpoint, its dict ``dataset_meta`` has facts about the training data,
        such as ``classes``.

    Raises:
        UserError: A key is unknown, the device or a file does not exist, or weights do not fit.
    """
    if pretrained and (checkpoint is not None or isinstance(config, Config)):
        raise UserError(
            'pretrained=True needs the name of a config of the package, and no checkpoint.'
        )
    name = str(config)
    device = usable_device(device or default_device())
    if not isinstance(config, Config):
        config = load_config(config_path(config), cfg_options)
    elif cfg_options:
        raise UserError('cfg_options need the path of a config; change a loaded config itself.')
    with on_meta() if device.type == 'meta' else contextlib.nullcontext():
        model = _build(config)
    if checkpoint is not None:
        _load(model, checkpoint, config)
    elif pretrained:
        load_official(model, name)
    model = model.to(device).eval()
    return convert_weights(model, _dtype(dtype, device))


def _build(config: Config) -> Any:
    if not config.get('model'):
        raise UserError(f'{config.filename or "The config"} has no model.')
    return MODELS.build(config.model)


def _load(model: Any, checkpoint: str | Path, config: Config) -> None:
    content = load_model_weights(model, checkpoint)
    say_other_model(config, content, f'Checkpoint {checkpoint}')
    # The attribute that mmengine's other libraries use, with names of classes if there are any.
    model.dataset_meta = dataset_meta(content)


def convert_weights(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Convert the weights of a model in place, except those of quantizers."""
    exact = [
        (module, {name: tensor.detach().clone() for name, tensor in _tensors(module)})
        for module in model.modules()
        if isinstance(module, BaseQuantizer)
    ]
    model.to(dtype)
    for module, values in exact:
        # Codebooks must not be rounded.
        module.float()
        for name, tensor in _tensors(module):
            tensor.data.copy_(values[name])
    return model


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _dtype(name: torch.dtype | str | None, device: torch.device) -> torch.dtype:
    if name == 'auto':
        precision = fastest_precision(device)
        print_log(f'dtype=auto: {precision}', 'current')
        name = precision.dtype
    dtype = getattr(torch, name, None) if isinstance(name, str) else name or torch.float32
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise UserError(f"dtype must be 'auto', 'float32', 'bfloat16' or 'float16', got {name!r}.")
    return dtype
