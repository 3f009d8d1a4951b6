"""Stage I models."""

from openmagvit2.models.tokenizers.code_pixels import CodePixels
from openmagvit2.models.tokenizers.preprocessor import ImagePreprocessor
from openmagvit2.models.tokenizers.visual_tokenizer import VisualTokenizer

__all__ = ['CodePixels', 'ImagePreprocessor', 'VisualTokenizer']
