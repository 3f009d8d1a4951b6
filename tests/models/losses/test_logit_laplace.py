"""The logit-Laplace distribution of pixels: its density, images, and invalid combinations."""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.models.losses import LogitLaplaceLoss
from openmagvit2.models.tokenizers.pixels import LogitLaplacePixels


def test_the_density_is_that_of_the_logistic_function_of_a_laplace_variable():
    torch.manual_seed(0)
    location, log_scale = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    target = 0.1 + 0.8 * torch.rand(2, 3, 4, 4)
    laplace = torch.distributions.Laplace(location, log_scale.exp())
    sigmoid = torch.distributions.transforms.SigmoidTransform()
    density = torch.distributions.TransformedDistribution(laplace, [sigmoid])
    loss = LogitLaplaceLoss()(torch.cat([location, log_scale], 1), target)
    assert loss.item() == pytest.approx(-density.log_prob(target).mean().item(), abs=1e-5)


def test_the_location_of_an_image_gives_the_image():
    pixels = LogitLaplacePixels()
    image = torch.linspace(-1, 1, 48).view(1, 3, 4, 4)
    values = pixels.target(image)
    assert values.min().item() == pytest.approx(0.1) and values.max().item() == pytest.approx(0.9)
    out = torch.cat([values.logit(), torch.zeros_like(values)], 1)
    torch.testing.assert_close(pixels.to_image(out), image)
    assert pixels.to_network(image).min() == 0


def test_a_tokenizer_trains_with_it():
    options = {
        'model.pixels': dict(_delete_=True, type='LogitLaplacePixels'),
        'model.training.losses': dict(
            reconstruction=dict(type='LogitLaplaceLoss', weight=0.1),
            image=dict(type='ImageL2Loss', weight=0.25),
        ),
    }
    model, image = init_model('tiny/vit_vqgan_32', cfg_options=options), torch.rand(2, 3, 32, 32)
    out, quantized = model.autoencoder(image)
    assert out.shape == (2, 6, 32, 32)
    terms, losses, _ = model.autoencoder_terms(image, out, quantized, 0)
    fake = model.pixels.to_image(out)
    assert losses['image'].isclose((fake - image).square().mean()) and sum(terms).isfinite()
    assert model.reconstruct(image).shape == image.shape


def test_what_does_not_fit_is_named():
    with pytest.raises(UserError, match='LogitLaplacePixels'):
        LogitLaplaceLoss()(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5))
    with pytest.raises(UserError, match='margin'):
        LogitLaplacePixels(margin=0.5)
