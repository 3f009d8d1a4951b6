"""The quantizer slot: map latents to codes, indices and losses."""

from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.models.quantizers.fsq import FSQ
from openmagvit2.models.quantizers.grouped import Grouped
from openmagvit2.models.quantizers.ibq import IBQ
from openmagvit2.models.quantizers.lfq import LFQ
from openmagvit2.models.quantizers.multi_scale import MultiScale
from openmagvit2.models.quantizers.residual import Residual
from openmagvit2.models.quantizers.vq import VQ

__all__ = [
    'FSQ',
    'IBQ',
    'LFQ',
    'VQ',
    'BaseQuantizer',
    'Grouped',
    'MultiScale',
    'QuantizerOutput',
    'Residual',
]
