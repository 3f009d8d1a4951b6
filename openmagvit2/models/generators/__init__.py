"""Stage II models."""

from openmagvit2.models.generators.class_conditional import ClassConditionalGenerator

__all__ = ['ClassConditionalGenerator']
