"""The names of a model's tensors in Open-MAGVIT2's files."""

from torch import nn

from openmagvit2.checkpoint.converters.open_magvit2 import OpenMagvit2


def official_names(model: nn.Module) -> dict[str, str]:
    """Map our names to official ones."""
    return {link.ours[0]: link.official[0] for link in OpenMagvit2().links(model)}


def ema_names(model: nn.Module) -> dict[str, str]:
    """Map our names of parameters to the keys of their averages."""
    names, parameters = official_names(model), dict(model.named_parameters())
    return {name: OpenMagvit2().average(names[name]) for name in names if name in parameters}
