"""Numbers of tensors and parameters of published networks, on the meta device."""

import re

import pytest

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official, to_ours
from openmagvit2.checkpoint.converters import choose
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.checkpoint.transfer import Misfit
from openmagvit2.workflows.resembling import advice

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
    'model.tokenizer.quantizer.codebook_size': 1024,
    'model.conditioner.num_classes': 1000,
    'model.backbone': dict(_delete_=True, type='Bert'),
    'model.head.more_rows': 1001,
    'model.image_size': 128,
}


def var(heads: int) -> dict:
    size = dict(dim=64 * heads, num_layers=heads, num_heads=heads)
    return VAR | {f'model.backbone.{key}': value for key, value in size.items()}


MASKGIT_VQ = dict(
    _delete_=True,
    type='VisualTokenizer',
    encoder=dict(type='CnnEncoder', num_res_blocks=2, downsample='avg_pool', shortcut='branch'),
    quantizer=dict(type='VQ', codebook_size=1024, code_dim=256, l2_norm=False, restart_after=None),
    decoder=dict(
        type='CnnDecoder',
        num_res_blocks=2,
        upsample='nearest_conv',
        adaptive_norm=False,
        shortcut='branch',
    ),
)
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
    'MaskGIT tokenizer': ('tiny/lfq_32', {'model': MASKGIT_VQ}, 54_515_587, 168),
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
    if is_generator(model):
        networks = (
            'params.encoder.',
            'params.decoder.',
            'params.quantizer.',
            'encoder.',
            'decoder.',
            'quantize.',
            'quant_conv.',
            'post_quant_conv.',
        )
        state = {name: x for name, x in state.items() if not name.startswith(networks)}
    assert len(state) == tensors


@pytest.mark.parametrize(
    ('config', 'tensors'),
    [
        # Without the 33 tensors of LPIPS; the discriminators have 22 and 16.
        ('vqgan/vqgan_256_1024', 398 - 33),
        ('vqgan/vqgan_256_16384', 392 - 33),
        ('sd_vq/vq_f16_256', 392 - 33),
        ('sd_vq/vq_f8_256', 348 - 33),
        ('sd_vq/vq_f8_256_n256', 354 - 33),
        ('sd_vq/vq_f4_256', 260 - 33),
        ('sd_vq/vq_f4_256_noattn', 240 - 33),
        # As training writes them, with a discriminator.
        ('llamagen/vq_16', 344 + 22),
        ('llamagen/vq_8', 300 + 22),
    ],
)
def test_tensors_of_published_tokenizers(config, tensors):
    model = init_model(config, device='meta')
    state = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    assert len(state) == tensors
    assert f'configs/{config}.py' in advice(choose(model, state), state)


@pytest.mark.parametrize('config', ['sd_vq/vq_f4_256_noattn', 'infinity/bsq_d16_256'])
def test_names_of_a_middle_without_attention(config):
    model = init_model(config, device='meta')
    state = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    found = {'.'.join(name.split('.')[:3]) for name in state if '.mid' in name}
    assert found == {f'{part}.mid.block_{i}' for part in ('encoder', 'decoder') for i in (1, 2)}


@pytest.mark.parametrize(
    ('config', 'tensors'),
    [
        ('llamagen/ar_b_256', 88),
        ('llamagen/ar_l_384', 172),
        ('llamagen/ar_xl_384', 256),
        ('llamagen/ar_xxl_384', 340),
        ('llamagen/ar_3b_384', 172),
    ],
)
def test_tensors_of_published_transformers(config, tensors):
    model = init_model(config, device='meta')
    state = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    assert len(state) == tensors
    # Files of 256 and 384 pixels have the same tensors.
    assert f'configs/{config}.py' in advice(choose(model, state), state)


@pytest.mark.parametrize(
    ('config', 'given'),
    [
        ('vqgan/vqgan_256_1024', 'titok/l32'),
        ('sd_vq/vq_f8_256', 'lfq_256'),
        ('ibq/ibq_256_1024', 'vqgan/vqgan_256_1024'),
        ('ibq/ibq_256_1024', 'lfq_256'),
        ('titok/s128', 'maskgit/maskgit_256'),
        ('bsq/vit_36_256', 'var/var_vae_256'),
        ('cosmos/fsq_di8', 'vqgan/vqgan_256_1024'),
        ('wetok/wetok_24_256_general', 'ibq/ibq_256'),
        ('maskgit/vq_256', 'lfq_256'),
        ('var/ar_d16_256', 'rar/rar_b'),
        ('show_o/lfq_256', 'llamagen/vq_16'),
        ('llamagen/ar_b_256', 'var/ar_d16_256'),
    ],
)
def test_a_file_of_another_system_is_named(config, given):
    model = init_model(config, device='meta')
    state = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    with pytest.raises(Misfit) as error:
        to_ours(state, init_model(given, device='meta'))
    text = advice(error.value.converter, error.value.state)
    assert re.match(f'It looks like .*give configs/.*{config}.py', text)
    assert text.count(f'{config}.py') == 1


def test_a_file_of_a_first_stage_is_named():
    model = init_model('titok/s128_stage1', device='meta')
    state = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    with pytest.raises(Misfit, match='pixel_quantize.embedding.weight is missing') as error:
        to_ours(state, init_model('titok/s128', device='meta'))
    text = advice(error.value.converter, error.value.state)
    assert re.match('It looks like a file of the first stage.*s128_stage1.py', text)
