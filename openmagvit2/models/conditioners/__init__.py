"""The conditioner slot: map class labels or other conditions to a prefix of the sequence."""

from openmagvit2.models.conditioners.class_label import ClassLabel
from openmagvit2.models.conditioners.token_label import TokenLabel

__all__ = ['ClassLabel', 'TokenLabel']
