"""The converter slot: official files to ours and back, one module for each system."""

from openmagvit2.checkpoint.converters import rules
from openmagvit2.checkpoint.converters.base import (
    Converter,
    choose,
    converters,
    is_official,
)
from openmagvit2.checkpoint.converters.bsq import Bsq
from openmagvit2.checkpoint.converters.cosmos import Cosmos
from openmagvit2.checkpoint.converters.ibq import Ibq
from openmagvit2.checkpoint.converters.infinity import Infinity
from openmagvit2.checkpoint.converters.llamagen import LlamaGen
from openmagvit2.checkpoint.converters.llamagen_ar import LlamaGenAr
from openmagvit2.checkpoint.converters.maskgit import MaskGit
from openmagvit2.checkpoint.converters.maskgit_torch import MaskGitTorch
from openmagvit2.checkpoint.converters.omni_tokenizer import OmniTokenizer
from openmagvit2.checkpoint.converters.open_magvit2 import OpenMagvit2
from openmagvit2.checkpoint.converters.rar import Rar
from openmagvit2.checkpoint.converters.rq import Rq
from openmagvit2.checkpoint.converters.show_o import ShowO
from openmagvit2.checkpoint.converters.titok import TiTok
from openmagvit2.checkpoint.converters.titok_masked import TiTokMasked
from openmagvit2.checkpoint.converters.var import Var
from openmagvit2.checkpoint.converters.vit_vqgan import VitVqgan, VitVqganGpt
from openmagvit2.checkpoint.converters.vqgan import Vqgan
from openmagvit2.checkpoint.converters.wetok import WeTok

__all__ = [
    'Bsq',
    'Converter',
    'Cosmos',
    'Ibq',
    'Infinity',
    'LlamaGen',
    'LlamaGenAr',
    'MaskGit',
    'MaskGitTorch',
    'OmniTokenizer',
    'OpenMagvit2',
    'Rq',
    'Rar',
    'TiTok',
    'TiTokMasked',
    'ShowO',
    'Var',
    'VitVqgan',
    'Vqgan',
    'VitVqganGpt',
    'WeTok',
    'choose',
    'converters',
    'is_official',
    'rules',
]
