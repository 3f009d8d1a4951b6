"""Official tokenizer modules: their outputs, under their weights."""

import pytest
import torch
from appendix import golden, golden_weights
from torch.testing import assert_close

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.discriminators import BlurPatchGAN, PatchGAN
from openmagvit2.models.encoders import CnnEncoder
from openmagvit2.models.losses import AdversarialLoss, LeCAM
from openmagvit2.models.quantizers import LFQ
from openmagvit2.registry import FACTORIZATIONS

TINY = dict(channels=32, channel_multipliers=(1, 2))


@pytest.mark.parametrize('bits', [6, 10])
def test_lfq_golden(bits):
    g = golden(f'lfq_k{bits}')
    x = g['x'].requires_grad_()
    out = LFQ(num_bits=bits)(x)
    assert out.indices.flatten().equal(g['indices'].flatten().long())
    assert_close(out.codes, g['quantized'], atol=1e-4, rtol=0)
    assert_close(out.losses['entropy'], g['entropy_loss'].reshape(()), atol=0, rtol=1e-4)
    assert_close(out.losses['commitment'], g['commitment'].reshape(()), atol=0, rtol=1e-4)
    w = torch.linspace(-1, 1, x.numel()).reshape(x.shape)
    (out.losses['entropy'] + 0.25 * out.losses['commitment'] + (out.codes * w).mean()).backward()
    assert_close(x.grad, g['grad'], atol=1e-4, rtol=0)


def test_factorized_golden():
    g = golden('lfq_k10_factorized_4_6')
    factorization = FACTORIZATIONS.build(
        dict(type='TokenFactorization', bits=[4, 6], codebook_size=1024)
    )
    out = LFQ(num_bits=10)(g['x'])
    sub = factorization.split(out.indices.flatten())
    assert sub[:, 0].equal(g['indices_pre']) and sub[:, 1].equal(g['indices_post'])
    assert factorization.merge(sub).equal(out.indices.flatten())
    figures = [
        out.losses['entropy'],
        out.losses['commitment'],
        out.stats['per_sample_entropy'],
        out.stats['codebook_entropy'],
    ]
    wanted = [
        g[name] for name in ('entropy_loss', 'commitment', 'per_sample_entropy', 'codebook_entropy')
    ]
    assert_close(torch.stack(figures).detach(), torch.stack(wanted), atol=0, rtol=1e-4)


def test_encoder_and_decoder_golden():
    g, weights = golden('conv_tiny'), golden_weights('conv_tiny')
    encoder = CnnEncoder(out_channels=10, num_res_blocks=1, **TINY)
    decoder = CnnDecoder(in_channels=10, num_res_blocks=1, **TINY)
    for name, module in dict(encoder=encoder, decoder=decoder).items():
        module.load_state_dict(
            {k.removeprefix(f'{name}.'): v for k, v in weights.items() if k.startswith(f'{name}.')}
        )
    assert_close(encoder(g['x']), g['z'], atol=1e-4, rtol=0)
    assert_close(decoder(torch.where(g['z'] > 0, 1.0, -1.0)), g['recon'], atol=1e-4, rtol=0)


def test_patchgan_golden():
    g = golden('patchgan')
    discriminator = PatchGAN(channels=8).eval()
    discriminator.load_state_dict(golden_weights('patchgan'))
    assert_close(discriminator(g['x']), g['logits'], atol=1e-4, rtol=0)


def test_blur_patchgan_golden():
    g = golden('patchgan_blur')
    discriminator = BlurPatchGAN(channels=32, num_stages=2)
    discriminator.load_state_dict(golden_weights('patchgan_blur'))
    assert_close(discriminator(g['x']), g['logits'], atol=1e-4, rtol=0)


def test_adversarial_golden_over_successive_batches():
    g, lecam = golden('adversarial'), LeCAM()
    kinds = dict(hinge_d='hinge', vanilla_d='vanilla', non_saturating_d='non_saturating')
    for i, (real, fake) in enumerate(zip(g['logits_real'], g['logits_fake'], strict=True)):
        for name, kind in kinds.items():
            assert_close(
                AdversarialLoss(discriminator=kind).discriminator_loss(real, fake).double(),
                g[name][i],
                atol=1e-5,
                rtol=0,
            )
        assert_close(
            AdversarialLoss().generator_loss(fake).double(),
            g['non_saturating_g'][i],
            atol=1e-5,
            rtol=0,
        )
        assert_close(lecam(real, fake).double(), g['lecam'][i], atol=1e-5, rtol=0)
    assert_close(lecam.real_average.double(), g['lecam_real_ema'], atol=1e-6, rtol=0)
    assert_close(lecam.fake_average.double(), g['lecam_fake_ema'], atol=1e-6, rtol=0)
