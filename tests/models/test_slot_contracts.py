"""Every registered class of a slot, found automatically, keeps the slot's contract, and
deliberately broken ones are caught.
"""

import pytest
import torch
from contract_arguments import arguments, grids
from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.models.backbones import Llama
from openmagvit2.models.conditioners import ClassLabel
from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.discriminators import PatchGAN
from openmagvit2.models.encoders import CnnEncoder, LatentVitEncoder
from openmagvit2.models.factorization import TokenFactorization
from openmagvit2.models.heads import SeparateHead, TokenEmbedding
from openmagvit2.models.losses import (
    R1,
    AdaptiveWeight,
    Adversarial,
    L1Loss,
    LinearWeight,
    LogitLaplaceLoss,
)
from openmagvit2.models.orders import Random
from openmagvit2.models.samplers import SubTokenSampler
from openmagvit2.registry import SLOTS


def gradient(output, source) -> None:
    assert output.requires_grad, 'the output must be differentiable'
    (found,) = torch.autograd.grad(output.square().sum(), source, allow_unused=True)
    assert found is not None and found.abs().sum() > 0, 'the input must get a gradient'


def check_encoder(cls) -> None:
    encoder = cls(out_channels=6, **arguments(cls))
    assert encoder.out_channels == 6
    sizes = [encoder.image_size] if encoder.image_size else []
    sizes = sizes or [tuple(n * d for d in encoder.stride) for n in (1, 2)]
    if encoder.stride is not None and encoder.image_size is None:
        first, *rest = encoder.stride
        sizes = [*sizes, (2 * first, *(3 * d for d in rest))]
        assert encoder.grid(sizes[-1]) == (2, *(3 for _ in rest))
    for size in sizes:
        image = torch.randn(1, 3, *size).clamp(-1, 1).requires_grad_()
        z = encoder(image)
        assert z.shape == (1, 6, *encoder.grid(size))
        # A group norm over a single element is constant: its gradient is rounding alone.
        if z[0, 0].numel() > 1:
            gradient(z, image)
    with pytest.raises(UserError, match='The image is'):
        encoder(torch.zeros(1, 3, *(side + 1 for side in sizes[0])))


def check_decoder(cls) -> None:
    decoder = cls(in_channels=6, out_channels=4, **arguments(cls)).eval()
    assert (decoder.in_channels, decoder.out_channels) == (6, 4)
    for grid in grids(cls):
        codes = torch.randn(2, 6, *grid, requires_grad=True)
        image = decoder(codes)
        size = image.shape[2:]
        assert image.shape == (2, 4, *size) and len(size) == 2
        assert decoder(codes, size=tuple(size)).equal(image)
        assert decoder.image_size_of(grid) == tuple(size)
        with pytest.raises(UserError, match=r'decodes \S+ codes to images of'):
            decoder(codes, size=[side + 1 for side in size])
        alone = decoder(codes[1:])
        assert torch.allclose(alone[0], image[1], atol=1e-4), 'no image depends on its batch'
        noise = torch.randn(2, 6, *grid)
        assert decoder(codes, noise=noise).equal(image) != decoder.takes_noise
        gradient(image, codes)
        gradient(decoder(codes), decoder.last_layer)
    with pytest.raises(UserError, match='codes, got 2x3x2'):
        decoder(torch.zeros(1, 6, 2, 3, 2))


def check_discriminator(cls) -> None:
    image = torch.randn(2, 3, 64, 64, requires_grad=True)
    logits = cls(**arguments(cls))(image)
    assert logits.dim() == 4 and logits.shape[:2] == (2, 1)
    assert (min(logits.shape[2:]) > 1) == cls.patches
    gradient(logits, image)


def check_loss(cls) -> None:
    if cls in (AdaptiveWeight, Adversarial, LinearWeight, R1):
        return  # Weights, the game and its penalty have a test of their own, test_adversarial_game.
    loss = cls()
    channels = 6 if cls is LogitLaplaceLoss else 3
    a, b = torch.rand(2, channels, 8, 8, requires_grad=True), torch.rand(2, 3, 8, 8)
    if hasattr(loss, 'load_weights'):
        return  # Needs weights of its own; tests of the perceptual loss cover it.
    if hasattr(loss, 'generator_loss'):
        values = [loss.generator_loss(a), loss.discriminator_loss(a, b)]
    else:
        values = [loss.train()(a, b)]
    for value in values:
        assert value.dim() == 0 and value.isfinite()
        assert value.requires_grad, 'a loss must be differentiable'


def check_factorization(cls) -> None:
    for sizes in ([7], [4, 16], [3, 5, 2]):
        factorization = cls(vocab_sizes=sizes)
        indices = torch.arange(torch.tensor(sizes).prod().item()).view(1, -1)
        sub = factorization.split(indices)
        assert sub.dtype == torch.int64 and sub.shape == (*indices.shape, len(sizes))
        assert all(
            0 <= sub[..., i].min() and sub[..., i].max() == size - 1 for i, size in enumerate(sizes)
        )
        assert factorization.merge(sub).equal(indices), 'merge must invert split'


def check_what_a_backbone_says(backbone) -> None:
    known = {'positions', 'targets', 'condition', 'groups'}
    assert backbone.supports <= known
    x = torch.zeros(1, 2, 32)
    for name in known - backbone.supports:
        with pytest.raises(UserError, match=f'`{name}`'):
            backbone(x, **{name: (2,)})


def check_backbone(cls) -> None:
    backbone = cls(grid=(2, 3), dim=32, num_layers=2, num_heads=2).eval()
    x = torch.randn(2, 6, 32, requires_grad=True)
    context = backbone(x)
    assert context.shape == x.shape and (backbone.dim, backbone.num_heads) == (32, 2)
    (found,) = torch.autograd.grad(context[:, 2].square().sum(), x)
    check_what_a_backbone_says(backbone)
    if not backbone.causal:
        assert found[:, 3:].any(), 'a bidirectional backbone must see later positions'
        with pytest.raises(UserError, match='does not support a KV cache'):
            backbone.new_cache()
        return
    assert not found[:, 3:].any(), 'position t must not see later ones'
    assert found[:, :3].abs().sum() > 0
    cache = backbone.new_cache()
    steps = torch.cat([backbone(part, cache=cache) for part in x.split(1, 1)], 1)
    assert torch.allclose(steps, context, atol=1e-5), 'a cache must not change the numbers'


def check_head(cls) -> None:
    sizes = dict(vocab_sizes=[12] if cls.joint else [4, 3], dim=64)
    head = cls(**sizes | arguments(cls)).eval()
    rows = torch.randn(2, 6, 5)
    given = (
        dict(rows=lambda sub: torch.stack([rows[i, x] for i, x in enumerate(sub.unbind(-1))], 2))
        if head.needs_rows
        else {}
    )
    for classifier in head.classifiers:
        nn.init.normal_(classifier.weight)
    sub = torch.stack([torch.randint(size, (2, 5)) for size in head.vocab_sizes], -1)
    context = torch.randn(2, 5, 64, requires_grad=True)
    assert head.embed(sub, **given).shape == (2, 5, 64)
    assert [x.shape for x in head.logits(context, sub, **given)] == [
        (2, 5, size) for size in head.vocab_sizes
    ]
    gradient(sum(head.loss(context, sub, **given).values()), context)
    drawn = head.sample(context, lambda logits, i: logits.argmax(-1), **given)
    assert drawn.dtype == torch.int64 and drawn.shape == (2, 5, len(head.vocab_sizes))
    teacher = head.logits(context, drawn, **given)
    assert all(x.argmax(-1).equal(drawn[..., i]) for i, x in enumerate(teacher)), (
        'sample must follow the logits'
    )


def check_sampler(cls) -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0]]).expand(20_000, 3)
    uniform = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn = cls()(logits, 0, uniform)
    assert drawn.dtype == torch.int64 and drawn.shape == (20_000,)
    assert torch.allclose(
        torch.bincount(drawn, minlength=3) / 20_000, logits[0].softmax(-1), atol=0.015
    )


def check_features(cls) -> None:
    extractor = cls()
    assert extractor.distance_name.startswith(('fid_', 'fd_')), (
        'a distance is named after its network'
    )
    try:
        extractor.prepare('cpu')
    except ValueError as error:
        assert '.pth' in str(error) or 'pip install' in str(error), 'missing weights must be named'
        return
    out = extractor(torch.zeros(2, 3, 40, 50, dtype=torch.uint8))
    assert out['features'].shape == (2, extractor.dim) and out['features'].dtype == torch.float32
    assert not out['features'].requires_grad
    noise = torch.randint(
        0, 256, (3, 3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    alone = torch.cat([extractor(image[None])['features'] for image in noise])
    assert torch.allclose(extractor(noise)['features'], alone, rtol=1e-3, atol=1e-4), (
        'an image must not depend on its batch'
    )


def check_conditioner(cls) -> None:
    conditioner, tokens = cls(num_classes=3, dim=8), TokenEmbedding([12], 8)
    conditioner.check_tokens(tokens)
    data, keys = conditioner.requests([2, 0, 2])
    assert set(data) <= set(conditioner.reads) and min(keys) >= 0
    assert keys[0] == keys[2] != keys[1], 'keys must tell conditions apart'
    prefix, pooled = conditioner.embed(data, tokens)
    assert prefix.shape[::2] == (3, 8) and pooled.shape == (3, 8)
    assert not prefix[0].equal(prefix[1]), 'another condition must choose another prefix'
    conditioner.check_batch(data)
    with pytest.raises(UserError):
        conditioner.requests([4])
    null = conditioner.null(2)
    if null is not None:
        assert conditioner.embed(null, tokens)[0].shape[0] == 2


def check_order(cls) -> None:
    order = cls(**arguments(cls))
    tokens = arguments(cls)['num_tokens']
    assert sum(order.groups) == tokens and min(order.groups) > 0
    uniform = torch.rand(3, max(order.num_uniforms, 1))
    for given in ((), (0, uniform)):
        cells = order(3, *given)
        raster = torch.arange(tokens).expand(3, -1)
        assert cells is None or cells.sort(1).values.equal(raster), 'each cell once'


CHECKS = dict(
    encoder=check_encoder,
    decoder=check_decoder,
    discriminator=check_discriminator,
    loss=check_loss,
    factorization=check_factorization,
    backbone=check_backbone,
    conditioner=check_conditioner,
    order=check_order,
    head=check_head,
    sampler=check_sampler,
    features=check_features,
)
CASES = [(slot, name) for slot in CHECKS for name in SLOTS[slot].names()]


def test_every_slot_has_a_contract():
    # Those of quantizers and converters have files of their own; a slot without classes has nothing
    # to check.
    others = {'quantizer', 'converter'}
    assert {name for name, slot in SLOTS.items() if slot.names()} - others == set(CHECKS)


@pytest.mark.parametrize(('slot', 'name'), CASES)
def test_contract(slot, name):
    torch.manual_seed(0)
    CHECKS[slot](SLOTS[slot].get(name))


class WrongGrid(CnnEncoder):
    def forward(self, image):
        return super().forward(image).transpose(2, 3)


class AnySize(LatentVitEncoder):
    def check_size(self, size):
        pass

    def forward(self, image):
        return super().forward(image[:, :, :16, :16])


class OneMoreToken(LatentVitEncoder):
    def grid(self, size):
        return (self.num_tokens + 1,)


class DetachedImage(CnnDecoder):
    def forward(self, codes, size=None, noise=None):
        return super().forward(codes).detach()


class BatchNoise(CnnDecoder):
    def noise_for(self, codes):
        return torch.randn(codes.shape, generator=torch.Generator().manual_seed(0))

    def __init__(self, **arguments):
        super().__init__(noise=True, **arguments)


class FrozenLayer(CnnDecoder):
    @property
    def last_layer(self):
        return nn.Parameter(self.conv_out.weight.detach())


class OneLogit(PatchGAN):
    def forward(self, image):
        return super().forward(image).mean((2, 3), keepdim=True)


class DetachedLoss(L1Loss):
    def forward(self, a, b):
        return super().forward(a, b).detach()


class HighestFirst(TokenFactorization):
    def split(self, indices):
        return super().split(indices).flip(-1)


class LooksAhead(Llama):
    def forward(self, x, **given):
        return super().forward(x, **given) + x.mean(1, keepdim=True)


class SamplesAnotherHead(SeparateHead):
    def sample(self, context, draw):
        return super().sample(-context, draw)


class SameForAll(ClassLabel):
    def forward(self, labels):
        return super().forward(torch.zeros_like(labels))


class SomeCells(Random):
    def __call__(self, batch, iteration=None, uniform=None):
        cells = super().__call__(batch, iteration, uniform)
        return None if cells is None else cells.clamp_min(1)


class FloatTokens(SubTokenSampler):
    def __call__(self, logits, i, uniform):
        return super().__call__(logits, i, uniform).float()


class BatchFeatures(FeatureExtractor):
    name, dim = 'batch', 3

    def load_weights(self):
        pass

    def forward(self, images):
        means = images.float().mean((2, 3))
        return dict(features=means - means.mean(0))


@pytest.mark.parametrize(
    ('slot', 'wrong'),
    [
        ('encoder', WrongGrid),
        ('encoder', OneMoreToken),
        ('encoder', AnySize),
        ('decoder', DetachedImage),
        ('decoder', BatchNoise),
        ('decoder', FrozenLayer),
        ('discriminator', OneLogit),
        ('loss', DetachedLoss),
        ('factorization', HighestFirst),
        ('backbone', LooksAhead),
        ('conditioner', SameForAll),
        ('order', SomeCells),
        ('head', SamplesAnotherHead),
        ('sampler', FloatTokens),
        ('features', BatchFeatures),
    ],
)
def test_wrong_classes_are_caught(slot, wrong):
    torch.manual_seed(0)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        CHECKS[slot](wrong)
