"""The quantizer slot: latent to codes, indices and losses."""

from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.models.quantizers.fsq import FSQ
from openmagvit2.models.quantizers.lfq import LFQ
from openmagvit2.models.quantizers.vq import VQ

__all__ = ['FSQ', 'LFQ', 'VQ', 'BaseQuantizer', 'QuantizerOutput']
