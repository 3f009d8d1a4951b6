"""Published networks at full size on the meta device: numbers of tensors and parameters."""

import pytest

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official

VAE = {
    'encoder.channels': 160,
    'encoder.channel_multipliers': (1, 1, 2, 2, 4),
    'encoder.num_res_blocks': 2,
    'encoder.attention_levels': (4,),
    'quantizer.quantizer.codebook_size': 4096,
    'quantizer.quantizer.code_dim': 32,
    'quantizer.scales': (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    'quantizer.projection': 32,
    'decoder.channels': 160,
    'decoder.channel_multipliers': (1, 1, 2, 2, 4),
    'decoder.num_res_blocks': 3,
    'decoder.attention_levels': (4,),
}
VAR = {f'model.tokenizer.{key}': value for key, value in VAE.items()} | {
    'model.image_size': 256,
    'model.conditioner.num_classes': 1000,
}
MASKGIT = {
    'model.tokenizer.quantizer.num_bits': 10,
    'model.conditioner.num_classes': 1000,
    'model.backbone': dict(_delete_=True, type='Bert'),
    'model.head.more_rows': 1001,
    'model.image_size': 128,
}


def var(heads: int) -> dict:
    size = dict(dim=64 * heads, num_layers=heads, num_heads=heads)
    return VAR | {f'model.backbone.{key}': value for key, value in size.items()}


CASES = {
    'VAR tokenizer': (
        'tiny/var_tokenizer_32',
        {f'model.{key}': value for key, value in VAE.items()},
        108_948_355,
        324,
    ),
    'VAR-d16': ('tiny/var_32', var(16), 310_283_520, 220),
    'VAR-d20': ('tiny/var_32', var(20), 600_917_136, 272),
    'VAR-d30': ('tiny/var_32', var(30), 2_010_020_356, 402),
    'MaskGIT': ('tiny/maskgit_32_official', MASKGIT, 172_457_193, 393),
}


@pytest.mark.parametrize(
    ('config', 'options', 'parameters', 'tensors'), CASES.values(), ids=CASES.keys()
)
def test_as_published(config, options, parameters, tensors):
    model = init_model(config, device='meta', cfg_options=options)
    own = ('tokenizer.', 'discriminator.')
    counted = sum(p.numel() for n, p in model.named_parameters() if not n.startswith(own))
    assert counted == parameters
    state = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    if 'tokenizer' not in config:
        networks = ('encoder.', 'decoder.', 'quantize.', 'quant_conv.', 'post_quant_conv.')
        state = {name: x for name, x in state.items() if not name.startswith(networks)}
    assert len(state) == tensors
