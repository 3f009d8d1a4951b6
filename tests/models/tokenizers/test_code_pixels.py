"""TiTok's two stages, scaled down: the first predicts another tokenizer's codes, the second starts
from its file.
"""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.apis.models import config_path
from openmagvit2.checkpoint import load_model_weights
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.models.decoders import LatentVitDecoder
from openmagvit2.models.discriminators import BlurPatchGAN
from openmagvit2.models.losses import ClassifierLoss
from openmagvit2.registry import MODELS


@pytest.fixture(scope='module')
def first():
    torch.manual_seed(0)
    return init_model('tiny/titok_stage1_32')


def test_targets_are_the_other_tokenizers_codes(first):
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    other = first.pixels.tokenizer
    codes = other.encode(image).indices
    assert first.pixels.target(image).equal(codes) and codes.shape == (2, 8, 8)
    first.train()
    assert not other.training and not any(p.requires_grad for p in other.parameters())
    out, quantized = first.autoencoder(image)
    assert out.shape == (2, 256, 8, 8)
    _, losses, _ = first.autoencoder_terms(image, out, quantized, 0)
    expected = torch.nn.functional.cross_entropy(out, codes)
    assert losses['reconstruction'].isclose(expected)
    assert first.pixels.to_image(out).equal(other.decode_indices(out.argmax(1)))
    assert not any(name.startswith('pixels') for name, _ in first.autoencoder.named_parameters())
    first.eval()


def test_the_second_stage_starts_from_the_first(first, tmp_path):
    path = tmp_path / 'first.pth'
    torch.save(dict(state_dict=first.state_dict()), path)
    config = load_config(config_path('tiny/titok_stage2_32')).model.to_dict()
    config['training']['freeze'] = ('encoder', 'quantizer')
    MODELS.build(config).init_weights()  # no checkpoint: random weights
    config['training']['start']['checkpoint'] = str(path)
    second = MODELS.build(config)
    second.init_weights()
    for ours, theirs in (
        ('encoder.latent_tokens', 'encoder.latent_tokens'),
        ('decoder.head.ffn.0.weight', 'decoder.head.ffn.0.weight'),
        ('decoder.head.table', 'pixels.tokenizer.quantizer.embedding.weight'),
        ('decoder.head.decoder.conv_out.weight', 'pixels.tokenizer.decoder.conv_out.weight'),
    ):
        assert second.state_dict()[ours].equal(first.state_dict()[theirs])
    assert set(second.roles()) == {'autoencoder', 'discriminator'}
    assert not any(n.startswith('encoder') for n, _ in second.autoencoder.named_parameters())
    del config['training']['start']['rename']
    with pytest.raises(UserError, match='start.checkpoint=.*missing'):
        MODELS.build(config).init_weights()


def test_a_file_without_the_codes_takes_them_from_the_config(first, tmp_path):
    other, path = tmp_path / 'other.pth', tmp_path / 'first.pth'
    torch.save(dict(state_dict=first.pixels.tokenizer.state_dict()), other)
    own = {k: v for k, v in first.state_dict().items() if not k.startswith('pixels.')}
    torch.save(dict(state_dict=own), path)
    options = {'model.pixels.tokenizer.checkpoint': str(other), 'model.pixels.tokenizer.seed': 1}
    model = init_model('tiny/titok_stage1_32', cfg_options=options)
    load_model_weights(model, path)
    assert all(v.equal(first.state_dict()[k]) for k, v in model.state_dict().items())


def test_the_classifier_sees_normalized_images_of_224_pixels():
    loss = ClassifierLoss(model='resnet50')
    seen = []

    class Mean(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean((2, 3))

    loss.use(Mean())
    black, white = torch.full((1, 3, 32, 32), -1.0), torch.ones(1, 3, 32, 32, requires_grad=True)
    value = loss(white, black)
    std = torch.tensor((0.229, 0.224, 0.225))
    # From 0 to 1, divided by the deviations.
    assert value.item() == pytest.approx((1 / std).square().mean().item(), rel=1e-5)
    assert seen[0].shape == (1, 3, 224, 224) and value.requires_grad
    with pytest.raises(UserError, match='convnext_small, resnet50'):
        ClassifierLoss(model='vgg')


def test_a_pooled_discriminator_gives_one_map_for_any_size():
    part = BlurPatchGAN(channels=32, num_stages=1, pool=2)
    for side in (16, 24):
        image = torch.randn(1, 3, side, side)
        assert part(image).shape == (1, 1, 2, 2)
    part.pool = None
    assert part(image).shape == (1, 1, 12, 12)


def test_outputs_have_names():
    with pytest.raises(UserError, match="must be one of pixels, codes, got 'words'"):
        LatentVitDecoder(in_channels=4, output='words')
