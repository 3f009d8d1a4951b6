"""The head slot: map context vectors to logits of sub-tokens."""

from openmagvit2.models.heads.cumulative import CumulativeCodeHead
from openmagvit2.models.heads.embeddings import CodeEmbedding, TokenEmbedding
from openmagvit2.models.heads.masked_bits import MaskedBitHead
from openmagvit2.models.heads.next_sub_token import NextSubTokenHead
from openmagvit2.models.heads.separate import SeparateHead
from openmagvit2.models.heads.single import SingleHead
from openmagvit2.models.heads.tied import TiedHead

__all__ = [
    'CodeEmbedding',
    'CumulativeCodeHead',
    'MaskedBitHead',
    'NextSubTokenHead',
    'SeparateHead',
    'SingleHead',
    'TiedHead',
    'TokenEmbedding',
]
