"""The head slot: context to sub-token logits."""

from openmagvit2.models.heads.embeddings import CodeEmbedding, TokenEmbedding
from openmagvit2.models.heads.next_sub_token import NextSubTokenHead
from openmagvit2.models.heads.separate import SeparateHead
from openmagvit2.models.heads.single import SingleHead

__all__ = ['CodeEmbedding', 'NextSubTokenHead', 'SeparateHead', 'SingleHead', 'TokenEmbedding']
