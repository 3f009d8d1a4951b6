"""ViT-VQGAN through its converter: codes, images, gradients, the discriminator, the file back."""

import pytest
import torch
from official_networks import arrays, near, weights
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official, to_ours
from openmagvit2.models.discriminators import StyleGAN2
from openmagvit2.models.losses import R1

VIT = dict(image_size=16, patch_size=4, head_dim=12)
PARTS = dict(
    encoder=dict(dim=32, num_layers=2, num_heads=2, hidden=64, **VIT),
    decoder=dict(dim=48, num_layers=1, num_heads=3, hidden=80, **VIT),
    quantizer=dict(codebook_size=24, code_dim=6, restart_after=None),
)


@pytest.fixture(scope='module')
def g():
    return arrays('vitvq_tiny')


@pytest.fixture(scope='module')
def model():
    options = {f'model.{a}.{key}': v for a, own in PARTS.items() for key, v in own.items()}
    model, state = init_model('tiny/vit_vqgan_32', cfg_options=options), weights('vitvq_tiny')
    ours, _ = to_ours(state, model)
    missing, unexpected = model.load_state_dict(ours['state_dict'], strict=False)
    assert not unexpected and all(name.startswith('discriminator.') for name in missing)
    back = to_official(ours, model)[0]['state_dict']
    assert back.keys() == {name for name in state if not name.startswith('loss.')}
    for name, value in back.items():
        if name.endswith('pos_embedding'):
            near(value, state[name])
        else:
            assert value.equal(state[name])
    return model


@torch.no_grad()
def test_codes_and_images(g, model):
    model.eval()
    out = model.encode(2 * g['x'] - 1)
    assert out.indices.flatten(1).equal(g['indices'])
    near(out.codes.flatten(2).transpose(1, 2), g['codes'])
    near(model.decode(out.codes) / 2 + 0.5, g['recon'])


def discriminator():
    part = StyleGAN2(image_size=16, widths=(8, 16, 24))
    names = [
        ('stem.', 'blocks.0.0.weight', 'blocks.0.1.bias'),
        ('final.', 'final_conv.0.weight', 'final_conv.1.bias'),
        *(
            (f'{a}.', f'final_linear.{i}.weight', f'final_linear.{i}.bias')
            for i, a in enumerate(('dense', 'out'))
        ),
    ]
    for i in (0, 1):
        block = f'blocks.{i + 1}.'
        names.append((f'blocks.{i}.conv1.', f'{block}conv1.0.weight', f'{block}conv1.1.bias'))
        names.append((f'blocks.{i}.conv2.', f'{block}conv2.1.weight', f'{block}conv2.2.bias'))
        names.append((f'blocks.{i}.skip.', f'{block}skip.1.weight', None))
    state = {k.removeprefix('loss.discriminator.'): v for k, v in weights('vitvq_tiny').items()}
    own = {f'{a}weight': state[w] for a, w, _ in names}
    own |= {f'{a}bias': state[b] for a, _, b in names if b}
    part.load_state_dict(own)
    return part


def test_losses_and_gradients(g, model):
    model.train()
    image, judge = (2 * g['x'] - 1).requires_grad_(), discriminator()
    out, quantized = model.autoencoder(image)
    losses = 0.25 * quantized.losses['commitment'] + quantized.losses['codebook']
    assert_close(losses, g['train_quant_loss'], atol=1e-4, rtol=0)
    target = model.pixels.to_network(image)
    rec = (out - target).square().mean()
    fake = torch.nn.functional.softplus(-judge(out)).mean()
    assert_close(fake, g['train_g_loss'], atol=1e-4, rtol=0)
    total = losses + rec + 0.1 * fake
    assert_close(total, g['train_total_loss'], atol=1e-4, rtol=0)
    parts = image, model.quantizer.embedding.weight, model.decoder.to_pixels.weight
    for name, found in zip(
        ('x', 'codebook', 'pixel'), torch.autograd.grad(total, parts), strict=True
    ):
        near(found * (2 if name == 'x' else 1), g[f'train_grad_{name}'])


def test_the_discriminator(g, model):
    judge = discriminator()
    near(judge(g['disc_x'].float()).flatten(), g['disc_logits'].float())
    penalty = R1(interval=16)(None, None, discriminator=judge, image=g['x'], iteration=16)
    assert_close(penalty / 16, g['disc_r1_reg'], atol=1e-5, rtol=1e-4)
