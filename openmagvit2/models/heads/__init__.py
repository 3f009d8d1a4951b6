"""The head slot: context to sub-token logits."""

from openmagvit2.models.heads.next_sub_token import NextSubTokenHead

__all__ = ['NextSubTokenHead']
