"""VAR's tokenizer and transformers.

See docs/reference/specification.md, VAR.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import (
    Derived,
    Lost,
    Rename,
    Rule,
    Under,
    squeeze,
)
from openmagvit2.checkpoint.converters.taming import CNN
from openmagvit2.checkpoint.stages import is_generator, tokenizer_of
from openmagvit2.errors import UserError
from openmagvit2.registry import CONVERTERS

TOKENIZER = (
    *CNN,
    Rename('quantizer.quantizer.embedding.weight', 'quantize.embedding.weight'),
    Rename('quantizer.phi.{i}.', 'quantize.quant_resi.qresi_ls.{i}.'),
    Rename('quantizer.project_in.', 'quant_conv.'),
    Rename('quantizer.project_out.', 'post_quant_conv.'),
)
BLOCK, OFFICIAL = 'backbone.blocks.{i}.', 'blocks.{i}.'
TRANSFORMER = (
    Under('tokenizer.', '', TOKENIZER),
    Rename('class_embedding.weight', 'class_emb.weight'),
    squeeze('backbone.start', 'pos_start', (0,)),
    squeeze('backbone.position_embedding', 'pos_1LC', (0,)),
    Rename('backbone.level_embedding.weight', 'lvl_embed.weight'),
    Rename('code_embedding.', 'word_embed.'),
    Rename(f'{BLOCK}attention.qkv.weight', f'{OFFICIAL}attn.mat_qkv.weight'),
    Rename(f'{BLOCK}attention.q_bias', f'{OFFICIAL}attn.q_bias'),
    Rename(f'{BLOCK}attention.v_bias', f'{OFFICIAL}attn.v_bias'),
    squeeze(f'{BLOCK}attention.log_scale', f'{OFFICIAL}attn.scale_mul_1H11', (0, 2, 3)),
    Rename(f'{BLOCK}attention.out.', f'{OFFICIAL}attn.proj.'),
    Rename(f'{BLOCK}fc1.', f'{OFFICIAL}ffn.fc1.'),
    Rename(f'{BLOCK}fc2.', f'{OFFICIAL}ffn.fc2.'),
    Rename(f'{BLOCK}modulation.', f'{OFFICIAL}ada_lin.1.'),
    squeeze(f'{BLOCK}offset', f'{OFFICIAL}ada_gss', (0, 1)),
    Rename('backbone.shared_modulation.', 'shared_ada_lin.1.'),
    Rename('backbone.modulation.', 'head_nm.ada_lin.1.'),
    Rename('head.classifiers.0.', 'head.'),
)
HITS = 'quantize.ema_vocab_hit_SV'


@CONVERTERS.register_module()
class Var(Converter):
    """Files of tokenizer and transformer, which may be converted together."""

    configs = ('tiny/var_tokenizer_32', 'tiny/var_32')
    marks = (
        'quantize.quant_resi.',
        HITS,
        'pos_start',
        'pos_1LC',
        'lvl_1L',
        'lvl_embed.',
        'attn_bias_for_masking',
        'word_embed.',
        'head_nm.',
    )
    tokenizer = ('encoder.', 'decoder.', 'quantize.', 'quant_conv.', 'post_quant_conv.')
    bare = True
    nested = ('trainer.var_wo_ddp', 'trainer.vae_local')

    def detects(self, state: dict[str, Tensor]) -> bool:
        """See :meth:`Converter.detects`.

        Raises:
            UserError: The transformer is from before April 2024 and has another attention.
        """
        found = super().detects(state)
        if 'pos_1LC' in state and not any(name.endswith('scale_mul_1H11') for name in state):
            raise UserError(
                'The file is a VAR transformer from before 16 April 2024, with another attention '
                '(it has no scale_mul_1H11): download the current file.'
            )
        return found

    def rules(self, model: nn.Module) -> list[Rule]:
        if not is_generator(model):
            return [*TOKENIZER, _hits(model.quantizer)]
        return [*TRANSFORMER, _hits(model.tokenizer.quantizer), *_derived(model)]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a quantizer without the convolutions of VAR's multi-scale quantizer."""
        tokenizer = tokenizer_of(model)
        found = any(name.startswith('quantizer.phi.') for name in tokenizer.state_dict())
        return None if found else 'quantizer without convolutions of scales'


def _hits(quantizer: Any) -> Rule:
    why = 'counts of codes during training, never read; zero on the way back'
    zeros = torch.zeros(len(quantizer.scales), quantizer.codebook_sizes[0], device='cpu')
    return Lost({HITS: zeros}, why, label=HITS)


def _derived(model: nn.Module) -> list[Rule]:
    """Return the rules for tables of levels, masks, and the bias of keys, which is zero."""
    backbone = dict(model.named_children())['backbone']
    if not backbone.levels:
        return []
    numbers = torch.repeat_interleave(torch.tensor(backbone.levels, device='cpu'))
    hidden = torch.where(numbers[:, None] >= numbers, 0.0, -torch.inf)
    zeros = {
        f'blocks.{i}.attn.zero_k_bias': torch.zeros(backbone.dim, device='cpu')
        for i in range(len(backbone.blocks))
    }
    return [
        Derived({'lvl_1L': numbers[None]}, 'table of levels'),
        Derived({'attn_bias_for_masking': hidden[None, None]}, 'mask of levels'),
        Derived(zeros, 'bias of keys'),
    ]
