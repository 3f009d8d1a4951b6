"""TiTok's two stages and its single stage through the converter: codes, images, losses, gradients,
the game, and files back bit for bit.
"""

import pytest
import torch
from official_networks import arrays, near, same, weights
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official, to_ours
from openmagvit2.checkpoint.converters import choose
from openmagvit2.models.discriminators import BlurPatchGAN
from openmagvit2.models.losses import LeCAM

VIT = dict(image_size=16, patch_size=4)


def built(config, name, bare=False, **parts):
    """A model of a config at other sizes with official weights, and these."""
    options = {
        f'model.{part}.{key}': value for part, own in parts.items() for key, value in own.items()
    }
    model = init_model(config, cfg_options=options)
    state = weights(name, None)
    if bare:
        state = {k: v for k, v in state.items() if not k.startswith('pixel_')}
    ours, _ = to_ours(state, model)
    missing, unexpected = model.load_state_dict(ours['state_dict'], strict=False)
    known = ('discriminator.', 'lecam.', 'pixels.tokenizer.')
    assert not unexpected and all(x.startswith(known) for x in missing)
    back = to_official(ours, model)[0]['state_dict']
    same(back, state)
    return model.eval()


PAIR = dict(
    encoder=dict(num_tokens=6, dim=48, num_layers=2, num_heads=4, **VIT),
    quantizer=dict(codebook_size=32, code_dim=6, restart_after=None),
    decoder=dict(num_tokens=6, dim=32, num_layers=1, num_heads=2, **VIT),
)
CNN = dict(channels=32, channel_multipliers=(1, 2, 1), num_res_blocks=1)


@pytest.fixture(scope='module')
def g():
    return arrays('titok_tiny')


@pytest.fixture(scope='module')
def second():
    proxy = {'proxy': (40, 8), **{f'proxy_decoder.{key}': value for key, value in CNN.items()}}
    decoder = PAIR['decoder'] | proxy
    return built('tiny/titok_stage2_32', 'titok_tiny', **PAIR | dict(decoder=decoder))


@pytest.fixture(scope='module')
def first(second):
    sizes = {f'tokenizer.{a}.{key}': v for a in ('encoder', 'decoder') for key, v in CNN.items()}
    rows = dict(codebook_size=40, code_dim=8, restart_after=None)
    table = {f'tokenizer.quantizer.{key}': value for key, value in rows.items()}
    model = built('tiny/titok_stage1_32', 'titok_tiny', bare=True, **PAIR, pixels=sizes | table)
    # The proxy's file goes through its own converter.
    ours, _ = to_ours(state := weights('titok_tiny_proxy', None), model.pixels.tokenizer)
    model.pixels.tokenizer.load_state_dict(ours['state_dict'])
    converter = choose(model.pixels.tokenizer, name='MaskGitTorch')
    back = to_official(ours, model.pixels.tokenizer, converter=converter)[0]['state_dict']
    same(back, state)
    return model


@torch.no_grad()
def test_codes_and_images(g, first, second):
    for model in (first, second):
        out = model.encode(2 * g['x'] - 1)
        near(out.codes, g['codes'].squeeze(2))
        assert out.indices.equal(g['indices'].squeeze(1))
    near(first.decoder(out.codes), g['proxy_logits'])
    assert first.pixels.target(2 * g['x'] - 1).flatten(1).equal(g['proxy_indices'])
    near(second.decode(out.codes) / 2 + 0.5, g['recon'])
    near(second.decode_indices(g['indices'].squeeze(1)) / 2 + 0.5, g['recon_from_indices'])


@torch.no_grad()
def test_the_proxy_decodes_its_codes(g, first):
    proxy = first.pixels.tokenizer
    near(proxy.decode_indices(g['proxy_indices'].unflatten(1, (4, 4))) / 2 + 0.5, g['proxy_recon'])


@torch.no_grad()
def test_a_model_of_one_stage():
    pair = dict(
        encoder=dict(num_tokens=10, dim=32, num_layers=1, num_heads=2, **VIT),
        quantizer=dict(codebook_size=32, code_dim=8, l2_norm=False, restart_after=None),
        decoder=dict(num_tokens=10, dim=48, num_layers=2, num_heads=4, **VIT),
        pixels=dict(type='Pixels', range=(0, 1)),
    )
    model, case = built('tiny/titok_32', 'titok_single_tiny', **pair), arrays('titok_single_tiny')
    model.train()
    out = model.encode(2 * case['x'] - 1)
    assert out.indices.equal(case['indices'].squeeze(1))
    near(model.decode(out.codes) / 2 + 0.5, case['recon'])
    assert_close(out.losses['codebook'], case['codebook_loss'], atol=1e-4, rtol=0)
    assert_close(0.25 * out.losses['commitment'], case['commitment_loss'], atol=1e-4, rtol=0)


def test_the_first_stage_trains_as_the_official_one(g, first):
    first.train()
    image = (2 * g['x'] - 1).requires_grad_()
    terms, losses, _ = first.autoencoder_terms(image, *first.autoencoder(image), iteration=0)
    first.eval()
    assert_close(losses['reconstruction'], g['stage1_reconstruction_loss'], atol=1e-4, rtol=0)
    assert_close(losses['codebook'], g['stage1_codebook_loss'], atol=1e-4, rtol=0)
    assert_close(sum(terms), g['stage1_total_loss'], atol=1e-4, rtol=0)
    table, latents = first.quantizer.embedding.weight, first.encoder.latent_tokens
    grads = torch.autograd.grad(sum(terms), (image, latents, table))
    # A step of one pixel is two in [-1, 1].
    near(2 * grads[0], g['stage1_grad_x'])
    near(grads[1], g['stage1_grad_latents'])
    near(grads[2], g['stage1_grad_codebook'])


class OfPixels(torch.nn.Module):
    """A discriminator of images in [0, 1] on ours."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image):
        return self.inner(image / 2 + 0.5)


@pytest.fixture(scope='module')
def discriminator():
    part = BlurPatchGAN(channels=32, num_stages=2, blur=4, pool=16)
    part.load_state_dict(weights('titok_tiny_discriminator', None))
    return OfPixels(part)


def test_the_second_stage_trains_as_the_official_one(g, second, discriminator):
    image = 2 * g['x'] - 1
    kept, second.discriminator = second.discriminator, discriminator
    with torch.no_grad():
        quantized = second.encode(image)
    out = second.decoder(quantized.codes)
    total = sum(second.autoencoder_terms(image, out, quantized, 20000)[0])
    assert_close(total, g['stage2_total_loss'], atol=1e-4, rtol=0)
    before = sum(second.autoencoder_terms(image, out, quantized, 0)[0])
    assert_close(before, g['stage2_total_before_start'], atol=1e-4, rtol=0)
    part = second.decoder.mask_token, out
    grads = torch.autograd.grad(total, part)
    near(grads[0], g['stage2_grad_mask'])
    near(grads[1], g['stage2_grad_recon'])
    second.discriminator = kept


@torch.no_grad()
def test_two_steps_of_the_discriminator(g, second, discriminator):
    fake, game = second.decode(g['codes'].squeeze(2)), second.recipe.adversarial
    lecam = LeCAM(of='mean').train()
    image = 2 * g['x'] - 1
    for step in range(2):
        total, losses, stats = game.discriminator_terms(
            discriminator, dict(lecam=lecam), image, fake, 20000
        )
        assert_close(total, g[f'disc{step}_discriminator_loss'], atol=1e-5, rtol=0)
        assert_close(0.001 * losses['lecam'], g[f'disc{step}_lecam_loss'], atol=1e-6, rtol=0)
        assert_close(lecam.real_average, g[f'disc{step}_ema_real'].squeeze(), atol=1e-6, rtol=0)
    near(discriminator.inner(g['disc_x'].float()), g['disc_logits'].float())
