"""OmniTokenizer on images through its converter: codes, images, a training pass, the file back."""

import pytest
import torch
from appendix import GOLDENS
from official_networks import arrays, near
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.models.losses.adversarial_losses import hinge

VIT = dict(dim=32, head_dim=12)
OPTIONS = {f'model.{part}.{key}': v for part in ('encoder', 'decoder') for key, v in VIT.items()}
OPTIONS |= {
    'model.encoder.window': 2,
    'model.quantizer.codebook_size': 24,
    'model.quantizer.code_dim': 6,
    'model.quantizer.ema_decay': 0.99,
    'model.training.adversarial.discriminator.channels': 8,
}
CASES = {'omni_tiny': 'omni_tokenizer_32', 'omni_rel_tiny': 'omni_tokenizer_bias_32'}


@pytest.fixture(params=CASES)
def case(request):
    model = init_model(f'tiny/{CASES[request.param]}', cfg_options=OPTIONS)
    state = read_checkpoint(GOLDENS / 'systems' / f'{request.param}.ckpt')['state_dict']
    ours, report = to_ours(state, model)
    assert 'videos' in str(report)
    model.load_state_dict(ours['state_dict'])
    return arrays(request.param), model.eval(), state, ours


def test_codes_and_images(case):
    g, model, _, _ = case
    image = 2 * g['x']
    with torch.no_grad():
        z = model.encoder(model.pixels.to_network(image))
        near(z, g['z'].squeeze(2))
        out = model.encode(image)
        assert out.indices.equal(g['indices'].squeeze(1))
        near(out.codes, g['codes'].squeeze(2))
        near(model.decode(out.codes) / 2, g['recon'])
        near(model.decode_indices(out.indices) / 2, g['recon_from_indices'])


def test_the_discriminator(case):
    g, model, _, _ = case
    judge, image = model.discriminator, 2 * g['disc_x'].float()
    near(judge(image), g['disc_logits'])
    features = judge.features(image)
    for i in (0, 1):
        near(features[i], g[f'disc_feature{i}'])
    assert len(features) == 3


def test_a_training_pass(case):
    g, model, _, _ = case
    model.train()
    game = model.recipe.adversarial
    image = (2 * g['x']).requires_grad_()
    out, quantized = model.autoencoder(image)
    near(quantized.losses['commitment'] * 0.25, g['train_commitment'])
    near(model.quantizer.embedding.weight, g['train_table_after'])
    near(model.quantizer.code_count, g['train_count_after'])
    near(model.quantizer.code_sum, g['train_sum_after'])
    rec = (out - model.pixels.to_network(image)).abs().mean()
    fake = model.pixels.to_image(out)
    total, losses, _ = game.generator_terms(model.discriminator, image, fake, rec, None, 0)
    near(4 * rec, g['train_recon'])
    near(0.01 * losses['adversarial'], g['train_adversarial'])
    near(4 * losses['features'], g['train_features'])
    total = total + 4 * rec + 0.25 * quantized.losses['commitment']
    parts = image, model.decoder.out.weight
    grads = torch.autograd.grad(total, parts)
    near(grads[0] * 2, g['train_grad_x'])
    near(grads[1], g['train_grad_pixel'])
    judge = model.discriminator
    with torch.no_grad():
        disc = 0.01 * hinge(judge(image), judge(fake))
    assert_close(disc, g['disc_loss'], atol=1e-5, rtol=0)


def test_what_images_need_comes_back(case):
    _, model, state, ours = case
    back = to_official(ours, model)[0]['state_dict']
    videos = ('encoder.to_patch_emb.', 'decoder.to_pixels.', 'video_discriminator.')
    assert back.keys() == {name for name in state if not name.startswith(videos)}
    again = to_ours(back, model)[0]['state_dict']
    assert all(again[name].equal(x) for name, x in ours['state_dict'].items())
    for name, x in back.items():
        assert x.shape == state[name].shape and x.dtype == state[name].dtype, name
        if not ('temporal' in name and '.1.' in name) and 'dsconv.weight' not in name:
            same = x.equal(state[name]) or 'context_norm' in name or 'usage' in name
            assert same, name
