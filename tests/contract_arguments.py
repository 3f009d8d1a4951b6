"""Small arguments and sizes with which the contract tests build the classes of the slots."""

from typing import Any

_VIT = dict(image_size=16, patch_size=4, dim=32, num_layers=2, num_heads=2)
_CNN = dict(channels=32, channel_multipliers=(1, 2, 1), num_res_blocks=1)
_WINDOWS = dict(patch_size=4, dim=32, num_heads=2, head_dim=12, spatial='tt', temporal='t')
_TABLE = dict(type='VQ', codebook_size=20, code_dim=4, l2_norm=False)
ARGUMENTS: dict[str, dict[str, Any]] = dict(
    CnnEncoder=_CNN,
    CnnDecoder=_CNN,
    VitEncoder=_VIT | dict(head_dim=12, hidden=48),
    VitDecoder=_VIT | dict(head_dim=12, hidden=48),
    PlainVitEncoder=_VIT | dict(hidden=48),
    PlainVitDecoder=_VIT | dict(hidden=48),
    LatentVitEncoder=_VIT | dict(num_tokens=5),
    LatentVitDecoder=_VIT | dict(num_tokens=5),
    WindowVitEncoder=_WINDOWS,
    WindowVitDecoder=_WINDOWS,
    # For images of 64 pixels.
    StyleGAN=dict(image_size=64, channels=8, channel_multipliers=(2, 2)),
    StyleGAN2=dict(image_size=64, widths=(8, 8, 16, 16, 16)),
    MaskedBitHead=dict(steps=2),
    CumulativeCodeHead=dict(vocab_sizes=[6, 6], num_heads=4, row_dim=5),
    Order=dict(num_tokens=6),
    NextScale=dict(num_tokens=14, scales=(1, 2, (3, 3))),
    Random=dict(num_tokens=6, start=10, end=20),
    Grouped=dict(quantizer=dict(type='LFQ', num_bits=5), groups=3),
    Residual=dict(quantizer=_TABLE | dict(ema_decay=0.9), depth=3),
    MultiScale=dict(quantizer=_TABLE, scales=(1, 2, 4)),
)
# Grids of codes of decoders and quantizers.
GRIDS = dict(
    BaseDecoder=[(2, 3)],
    VitDecoder=[(4, 4)],
    PlainVitDecoder=[(4, 4)],
    LatentVitDecoder=[(5,)],
    BaseQuantizer=[(7,), (4, 6), (2, 3, 4)],
    MultiScale=[(4, 4)],
)


def arguments(cls: type) -> dict[str, Any]:
    """Return the arguments of a class, those of its nearest base class, or none."""
    return _nearest(ARGUMENTS, cls, {})


def grids(cls: type) -> list[tuple[int, ...]]:
    """Return the grids of a decoder or a quantizer."""
    return _nearest(GRIDS, cls, [])


def _nearest(table: dict[str, Any], cls: type, default: Any) -> Any:
    return next((table[base.__name__] for base in cls.__mro__ if base.__name__ in table), default)
