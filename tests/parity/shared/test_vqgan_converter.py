"""VQGAN and SD-VQGAN through the converter against the official code: codes, losses, gradients, the
adaptive weight.
"""

import pytest
import torch
from appendix import GOLDENS
from official_networks import MeanSquares, arrays, near, same, weights
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.errors import UserError

# Constructor arguments of the goldens.
VQGAN = {
    'encoder.channel_multipliers': (2, 1),
    'encoder.attention_levels': (1,),
    'quantizer.codebook_size': 24,
    'quantizer.code_dim': 12,
    'quantizer.projection': 16,
    'decoder.channel_multipliers': (1, 1),
    'decoder.attention_levels': (1,),
    'training.adversarial.discriminator.channels': 8,
    'training.adversarial.start': 5,
}
SD_VQ = VQGAN | {
    'encoder.attention_levels': (),
    'decoder.attention_levels': (),
    'quantizer.code_dim': 3,
    'quantizer.projection': 4,
}
CASES = {'vqgan_tiny': VQGAN, 'sd_vq_tiny': SD_VQ}


def build(name: str) -> torch.nn.Module:
    options = {f'model.{key}': value for key, value in CASES[name].items()}
    return init_model('tiny/vqgan_32', cfg_options=options)


def state_of(name: str) -> dict:
    return read_checkpoint(GOLDENS / 'systems' / f'{name}.ckpt')['state_dict']


@pytest.fixture
def model():
    model = build('vqgan_tiny')
    ours, _ = to_ours(state_of('vqgan_tiny'), model)
    model.load_state_dict(ours['state_dict'])
    return model


@torch.no_grad()
@pytest.mark.parametrize('name', CASES)
def test_reconstructs_and_goes_back(name):
    case, model, state = arrays(name), build(name), state_of(name)
    ours, report = to_ours(state, model)
    # SD's golden has no discriminator.
    missing = model.load_state_dict(ours['state_dict'], strict=False).missing_keys
    assert all(key.startswith('discriminator.') for key in missing)
    near(model.quantizer.projected(model.encoder(case['x'])), case['prequant'])
    out = model.encode(case['x'])
    assert out.indices.flatten().equal(case['indices'].flatten().long())
    near(out.codes, case['codes'])
    near(model.reconstruct(case['x']), case['recon'])
    near(model.decode_indices(out.indices), case['recon_from_indices'])
    back = to_official(ours, model)[0]['state_dict']
    assert state.keys() == weights(name).keys()
    same(back, state)


@pytest.mark.parametrize('perceptual', [False, True])
def test_training_step(model, perceptual):
    case = arrays('vqgan_tiny')
    if perceptual:
        model.recipe.losses['perceptual'] = MeanSquares()
        model.recipe.weights['perceptual'] = lambda iteration: 1.0
    prefix = 'train_perceptual_' if perceptual else 'train_'
    model.train()
    out, quantized = model.autoencoder(case['x'])
    terms, losses, stats = model.autoencoder_terms(case['x'], out, quantized, 5)
    near(losses['adversarial'], case[f'{prefix}adversarial'])
    assert_close(
        stats['adversarial_weight'], case[f'{prefix}adaptive_weight'].view(()), atol=0, rtol=1e-4
    )
    total = sum(terms)
    near(total, case[f'{prefix}total'].view(()))
    own = {
        'conv_out': model.decoder.conv_out.weight,
        'embedding': model.quantizer.embedding.weight,
        'conv_in': model.encoder.conv_in.weight,
        'quant_conv': model.quantizer.project_in.weight,
    }
    found = torch.autograd.grad(total, list(own.values()))
    for name, gradient in zip(own, found, strict=True):
        wanted = case[f'{prefix}grad_{name}'].view(gradient.shape)
        scale = wanted.abs().max().item()
        assert_close(gradient, wanted, atol=1e-4 * scale, rtol=0)


def test_discriminator_step(model):
    case, game = arrays('vqgan_tiny'), model.recipe.adversarial
    model.train()
    out, quantized = model.autoencoder(case['x'])
    near(
        quantized.losses['codebook'] + 0.25 * quantized.losses['commitment'],
        case['train_quant_loss'].view(()),
    )
    terms, _, _ = model.autoencoder_terms(case['x'], out, quantized, 4)
    near(sum(terms), case['train_total_before_start'].view(()))
    total, _, _ = game.discriminator_terms(
        model.discriminator, model._regularizers(), case['x'], out, 5
    )
    near(total, case['train_disc_loss'].view(()))
    (gradient,) = torch.autograd.grad(total, model.discriminator.main[0].weight)
    wanted = case['train_disc_grad_first']
    assert_close(gradient, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=0)


def test_files_that_do_not_fit(model):
    state = dict(state_of('vqgan_tiny'))
    name = 'quantize.embedding.weight'
    with pytest.raises(UserError, match=f'{name} is missing'):
        to_ours({k: x for k, x in state.items() if k != name}, model)
    diffusion = {'model.diffusion_model.time_embed.0.weight': torch.zeros(1)}
    with pytest.raises(UserError, match=f'lacks {name}'):
        to_ours(state | diffusion, model)
    cut = {k: x for k, x in state.items() if '.down.1.attn.' not in k}
    with pytest.raises(UserError, match='encoder.down.1.attn.0.norm.weight is missing'):
        to_ours(cut, model)
