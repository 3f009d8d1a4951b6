"""Published numbers of VAR's and MaskGIT's transformers on weights from a formula
(docs/reference/specification.md, VAR and MaskGIT).
"""

import pytest
import torch
from appendix import check, fill
from torch import nn

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official, to_ours

# Tokens of three scales, as the quantizer of the same figures gives them.
INDICES = [3, 4, 3, 4, 4, 3, 4, 4, 3, 3, 4, 3, 3, 2]


def by_rule(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The rule of :func:`fill` under other names than a module's."""
    module = nn.Module()
    for name, tensor in tensors.items():
        # A parameter's name has no dots; a bar sorts behind letters and digits, as a dot before.
        module.register_parameter(name.replace('.', '\x01'), nn.Parameter(tensor.clone()))
    return {name.replace('\x01', '.'): x.detach() for name, x in fill(module).named_parameters()}


@torch.no_grad()
def test_var():
    model = init_model(
        'tiny/var_32',
        cfg_options={
            'model.tokenizer.quantizer.scales': (1, 2, 3),
            'model.tokenizer.quantizer.projection': None,
            'model.tokenizer.quantizer.quantizer.codebook_size': 8,
            'model.tokenizer.quantizer.quantizer.code_dim': 4,
            'model.backbone.dim': 16,
            'model.backbone.num_layers': 1,
            'model.backbone.num_heads': 2,
            'model.conditioner.num_classes': 3,
            'model.image_size': 24,
        },
    )
    official = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    made = ('lvl_1L', 'attn_bias', 'quantize.ema')
    mine = {k: x for k, x in official.items() if not k.startswith(made) and 'zero_k' not in k}
    quantizer = {
        k.removeprefix('quantize.'): x for k, x in mine.items() if k.startswith('quantize.')
    }
    networks = ('quantize.', 'encoder.', 'decoder.')
    transformer = {k: x for k, x in mine.items() if not k.startswith(networks)}
    assert sum(x.numel() for x in transformer.values()) == 5946
    official |= {f'quantize.{k}': x for k, x in by_rule(quantizer).items()} | by_rule(transformer)
    official['blocks.0.attn.scale_mul_1H11'] = torch.tensor([1.0, 1.5]).view(1, 2, 1, 1)
    model.load_state_dict(to_ours(official, model)[0]['state_dict'])
    sub_indices, condition = torch.tensor(INDICES)[None, :, None], dict(label=torch.tensor([1]))
    check(
        model(sub_indices, condition)[0],
        -0.466602,
        2.399306,
        [0.866441, -0.489062, -1.171624, -0.045319],
        [2.78456, 0.368505, -2.522599, -1.305306],
    )
    loss = model.losses(sub_indices, condition)['sub_token_0']
    assert loss.item() == pytest.approx(1.773896, abs=1e-4)


@torch.no_grad()
def test_maskgit():
    """The network that gives the official golden, on weights that a reader can make."""
    model = init_model('tiny/maskgit_32_official')
    fill(model.backbone), fill(model.head)
    tokens = (5 * torch.arange(16) % 32)[None, :, None]
    masked = (torch.arange(16) % 3 == 0)[None]
    context = model.context(tokens, dict(label=torch.tensor([1])), masked)
    logits = model.head.all_logits(context)
    losses = model.head.train().losses_per_token(context, tokens)[..., 0]
    check(
        logits,
        -0.010579,
        1.096256,
        [-0.317947, 0.504139, -0.390459, 0.544002],
        [1.441084, -1.299009, 0.743817, -0.043397],
    )
    assert ((losses * masked).sum() / masked.sum()).item() == pytest.approx(3.773128, abs=1e-4)
