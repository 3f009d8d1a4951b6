"""The public interface: build, load, share and use models."""

from openmagvit2.apis.generator import Generator
from openmagvit2.apis.init_model import init_model
from openmagvit2.apis.models import list_models, model_info
from openmagvit2.apis.tokenizer import Tokenizer

__all__ = ['Generator', 'Tokenizer', 'init_model', 'list_models', 'model_info']
