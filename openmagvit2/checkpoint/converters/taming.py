"""Rules for the networks of taming-transformers, which many systems share."""

from typing import Any

from openmagvit2.checkpoint.converters.base import other_class
from openmagvit2.checkpoint.converters.rules import Rename, Rule, join_qkv, squeeze

# In a middle without attention, our blocks are numbered from 0.
CNN = (
    *(
        Rename(f'{part}.mid_block.{i}.', f'{part}.mid.block_{i + 1}.')
        for part in ('encoder', 'decoder')
        for i in range(2)
    ),
    Rename('encoder.down.{i}.downsample.', 'encoder.down.{i}.downsample.conv.'),
    Rename('encoder.'),
    Rename('decoder.'),
)
PROJECTIONS = (
    squeeze('quantizer.project_in.weight', 'quant_conv.weight'),
    Rename('quantizer.project_in.bias', 'quant_conv.bias'),
    squeeze('quantizer.project_out.weight', 'post_quant_conv.weight'),
    Rename('quantizer.project_out.bias', 'post_quant_conv.bias'),
)
# Prefixes of the names of quant_conv and its averages.
CONVOLUTION = ('quant_conv.', 'model_ema.quant_conv')
TABLE = (Rename('quantizer.embedding.weight', 'quantize.embedding.weight'), *PROJECTIONS)
NETWORKS = (*CNN, *TABLE)


def gpt_block(ours: str, official: str) -> list[Rule]:
    """Return the rules of a block of minGPT with these prefixes."""
    return [
        *join_qkv(f'{ours}attention.', f'{official}attn.'),
        Rename(f'{ours}attention.out.', f'{official}attn.proj.'),
        Rename(f'{ours}attention_norm.', f'{official}ln1.'),
        Rename(f'{ours}ffn_norm.', f'{official}ln2.'),
        Rename(f'{ours}fc1.', f'{official}mlp.0.'),
        Rename(f'{ours}fc2.', f'{official}mlp.2.'),
    ]


def table_misfit(tokenizer: Any, *, unit: bool) -> str | None:
    """Return how a tokenizer differs from VQGAN's, with a plain table and biases of convolutions.

    Args:
        tokenizer: The tokenizer.
        unit: Whether the rows of the table must have unit length.
    """
    if kind := other_class('quantizer', tokenizer.quantizer, 'VQ', exact=True):
        return kind
    if tokenizer.quantizer.l2_norm is not unit:
        return f'quantizer with vectors of {"any" if unit else "unit"} length'
    # MaskGIT's convolutions have none.
    if 'conv_in.bias' not in tokenizer.encoder.state_dict():
        return 'encoder without encoder.conv_in.bias'
    return None
