"""The backbone slot: map token embeddings to context vectors."""

from openmagvit2.models.backbones.ada_llama import AdaLlama
from openmagvit2.models.backbones.adaln import AdaLnTransformer
from openmagvit2.models.backbones.bert import Bert
from openmagvit2.models.backbones.gpt import Gpt
from openmagvit2.models.backbones.llama import Llama
from openmagvit2.models.backbones.rar import Rar
from openmagvit2.models.backbones.uvit import UVit

__all__ = ['AdaLlama', 'AdaLnTransformer', 'Bert', 'Gpt', 'Llama', 'Rar', 'UVit']
