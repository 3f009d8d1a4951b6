"""Numbers of the official tokenizer modules."""

import torch
from appendix import check, fill, sine
from torch.testing import assert_close

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.discriminators import BlurPatchGAN, PatchGAN
from openmagvit2.models.encoders import CnnEncoder
from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm
from openmagvit2.models.layers.resample import depth_to_space
from openmagvit2.models.losses import AdversarialLoss, LeCAM
from openmagvit2.models.quantizers import FSQ, LFQ
from openmagvit2.registry import FACTORIZATIONS

TINY = dict(channels=32, channel_multipliers=(1, 2))


def test_lfq_figures():
    x = sine(2, 6, 4, 4, step=0.37, shift=0.11, scale=0.02).requires_grad_()
    out = LFQ(num_bits=6)(x)
    first = [1, 3, 7, 15, 31, 63, 63, 63, 63, 62, 60, 56, 48, 32, 0, 0]
    second = [56, 48, 32, 0, 0, 0, 1, 3, 7, 15, 31, 63, 63, 63, 63, 62]
    assert out.indices.flatten().tolist() == first + second
    figures = [
        out.stats['per_sample_entropy'],
        out.stats['codebook_entropy'],
        out.losses['entropy'],
        out.losses['commitment'],
    ]
    assert_close(
        torch.stack(figures).detach(),
        torch.tensor([0.823661, 2.483437, -1.659776, 0.974711]),
        atol=1e-5,
        rtol=0,
    )
    (grad,) = torch.autograd.grad(out.losses['entropy'], x)
    check(grad, -0.021152, 0.898335, [-4.02273, -0.48573, -0.0344, -0.00576])


def test_factorized_indices():
    x = sine(2, 6, 4, 4, step=0.37, shift=0.11, scale=0.02)
    sub = FACTORIZATIONS.build(
        dict(type='TokenFactorization', bits=[2, 4], codebook_size=64)
    ).split(LFQ(num_bits=6)(x).indices.flatten(1))
    assert sub[..., 0].tolist() == [
        [1, 3, 3, 3, 3, 3, 3, 3, 3, 2, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 3, 3, 3, 3, 3, 3, 3, 3, 2],
    ]
    assert sub[0, :, 1].tolist() == [0, 0, 1, 3, 7, 15, 15, 15, 15, 15, 15, 14, 12, 8, 0, 0]
    assert sub[1, :, 1].tolist() == [14, 12, 8, 0, 0, 0, 0, 0, 1, 3, 7, 15, 15, 15, 15, 15]


def test_depth_to_space_is_dcr():
    out = depth_to_space(torch.arange(32.0).reshape(1, 8, 2, 2))[0]
    assert out[0].tolist() == [[0, 8, 1, 9], [16, 24, 17, 25], [2, 10, 3, 11], [18, 26, 19, 27]]
    assert out[1].tolist() == [[4, 12, 5, 13], [20, 28, 21, 29], [6, 14, 7, 15], [22, 30, 23, 31]]


def test_adaptive_group_norm():
    out = fill(AdaptiveGroupNorm(32, 6))(
        sine(2, 32, 8, 8, step=0.31), sine(2, 6, 4, 4, step=0.9, shift=0.2).sign()
    )
    check(
        out,
        0.008654,
        1.282516,
        [0.09912, -0.34427, -0.74539, -1.06601],
        [0.95063, 0.44254, -0.13181, -0.71767],
    )


def test_encoder_and_decoder():
    encoder = fill(CnnEncoder(out_channels=6, num_res_blocks=2, **TINY))
    decoder = fill(CnnDecoder(in_channels=6, num_res_blocks=2, **TINY))
    z = encoder(sine(2, 3, 16, 16, step=0.013))
    check(
        z,
        0.130483,
        0.377333,
        [-0.06665, -0.08186, -0.07243, -0.07296],
        [-0.14952, -0.08949, -0.10796, -0.14098],
    )
    lfq = LFQ(num_bits=6).eval()
    indices = lfq(z).indices
    assert indices[0, 0].tolist() == [30] * 8
    assert indices[0, 6].tolist() == [30, 28, 60, 60, 60, 60, 60, 28]
    image = decoder(lfq.indices_to_codes(indices))
    check(
        image,
        -0.091093,
        1.65479,
        [-0.26443, -0.7317, -1.02133, -1.07516],
        [-0.71705, -0.57733, -0.35373, -0.12276],
    )


def test_patchgan():
    discriminator = fill(PatchGAN(channels=8))
    image = sine(2, 3, 64, 64, step=0.017)
    check(discriminator(image), 0.015039, 0.295158, [-0.2444, -0.29214, -0.27734, -0.23862])
    check(discriminator.eval()(image), 0.066657, 0.029447, [])


def test_blur_patchgan():
    discriminator = fill(BlurPatchGAN(channels=32))
    out = discriminator(sine(2, 3, 64, 64, step=0.017))
    assert out.shape == (2, 1, 8, 8)
    check(out, 0.084577, 0.042825, [0.15079, 0.14486, 0.1251, 0.12539])
    assert sum(p.numel() for p in BlurPatchGAN().parameters()) == 1_909_889


def test_adversarial_figures():
    fake, real = sine(2, 1, 3, 3, step=0.5), torch.cos(0.3 * torch.arange(18.0)).reshape(2, 1, 3, 3)
    loss, lecam = AdversarialLoss(), LeCAM()
    assert_close(loss.generator_loss(fake).item(), 0.6015552, atol=1e-5, rtol=0)
    assert_close(loss.discriminator_loss(real, fake).item(), 1.1641699, atol=1e-5, rtol=0)
    assert_close(lecam(real, fake).item(), 0.3561713, atol=1e-5, rtol=0)
    assert_close(
        [lecam.real_average.item(), lecam.fake_average.item()],
        [-1.318822e-4, 1.964576e-4],
        atol=1e-8,
        rtol=0,
    )
    other = AdversarialLoss(discriminator='non_saturating').discriminator_loss(real, fake)
    assert_close(other.item(), 1.5785459, atol=1e-5, rtol=0)


def test_fsq_figures():
    out = FSQ(levels=[8, 8, 8, 5, 5, 5])(
        sine(1, 3, 6, step=0.9, shift=0.3, scale=2.0).transpose(1, 2)
    )
    assert out.indices.tolist() == [[2046, 7665, 38280]]
    expected = [
        [0.5, 0.75, 0.75, 0.5, -1, -1],
        [-0.75, 0.5, 0.75, 1, 0, -1],
        [-1, -0.75, 0.5, 1, 1, 0],
    ]
    assert_close(out.codes[0].T, torch.tensor(expected), atol=1e-6, rtol=0)
