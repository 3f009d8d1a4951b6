"""StyleGAN's discriminator, R1 and the losses of MAGVIT against the official JAX code."""

import pytest
import torch
from appendix import GOLDENS
from official_networks import arrays, near

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.models.discriminators import StyleGAN
from openmagvit2.models.losses import R1, AdversarialLoss, LeCAM


def load(name: str, **arguments) -> StyleGAN:
    state = read_checkpoint(GOLDENS / 'systems' / f'{name}.msgpack')['state_dict']
    model = StyleGAN(image_size=16, **arguments)
    names = {'conv_in': 'Conv_0', 'conv_out': 'Conv_1', 'hidden': 'Dense_0', 'logit': 'Dense_1'}
    for i in range(len(model.blocks)):
        for j, part in enumerate(('conv1', 'shortcut', 'conv2')):
            names[f'blocks.{i}.{part}'] = f'ResBlock_{i}.Conv_{j}'
    ours = {}
    for name in model.state_dict():
        part, kind = name.rsplit('.', 1)
        value = state[f'params.{names[part]}.{dict(weight="kernel", bias="bias")[kind]}']
        if kind == 'weight':
            value = value.T if value.dim() == 2 else value.permute(3, 2, 0, 1)
        ours[name] = value.contiguous()
    assert len(ours) == len(state)
    model.load_state_dict(ours)
    return model


CASES = {
    'magvit_discriminator_tiny': dict(channels=16, channel_multipliers=(2, 3)),
    'magvit_discriminator_pool_tiny': dict(
        channels=12, channel_multipliers=(1, 2), downsample='avg_pool'
    ),
}


@pytest.mark.parametrize(('name', 'arguments'), CASES.items(), ids=CASES)
def test_logits_penalty_and_gradients(name, arguments):
    model, case = load(name, **arguments), arrays(name)
    real, fake = model(case['real']), model(case['fake'])
    near(real.flatten(1), case['logits_real'])
    near(fake.flatten(1), case['logits_fake'])
    penalty = 10 * R1()(real, fake, discriminator=model, image=case['real'], iteration=0)
    near(penalty, case['r1'])
    losses = AdversarialLoss(discriminator='non_saturating')
    loss = losses.discriminator_loss(real, fake)
    near(loss, case['discriminator_loss'])
    near(losses.generator_loss(fake), case['generator_loss'])
    for term, key in ((penalty, 'grad_r1_conv_in'), (loss + penalty, 'grad_conv_in')):
        (found,) = torch.autograd.grad(term, model.conv_in.weight, retain_graph=True)
        wanted = case[key]
        scale = wanted.abs().max().item()
        torch.testing.assert_close(found.permute(2, 3, 1, 0), wanted, atol=1e-4 * scale, rtol=0)


def test_lecam_of_means():
    case, lecam = arrays('magvit_losses'), LeCAM(of='mean').train()
    keys = ('real', 'fake', 'lecam', 'ema_real', 'ema_fake')
    for real, fake, wanted, *averages in zip(*(case[key] for key in keys), strict=True):
        found = lecam(real[..., None, None], fake[..., None, None])
        torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-4)
        found = torch.stack([lecam.real_average, lecam.fake_average]).double()
        torch.testing.assert_close(found, torch.stack(averages), atol=1e-8, rtol=1e-4)


@pytest.mark.parametrize('kind', ['non_saturating', 'hinge'])
def test_both_sides_of_the_game(kind):
    case = arrays('magvit_losses')
    generator = dict(non_saturating='non_saturating', hinge='mean')[kind]
    game = AdversarialLoss(generator=generator, discriminator=kind)
    # The package halves the hinge loss, as VQGAN does.
    scale = dict(non_saturating=1, hinge=2)[kind]
    for i, (real, fake) in enumerate(zip(case['real'], case['fake'], strict=True)):
        real, fake = real[..., None, None], fake[..., None, None]
        near(scale * game.discriminator_loss(real, fake), case[f'd_{kind}'][i].float())
        near(game.generator_loss(fake), case[f'g_{kind}'][i].float())
