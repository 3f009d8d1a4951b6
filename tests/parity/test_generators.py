"""Numbers of the official auto-regressive transformer: backbone and next-sub-token head under their
official names.
"""

import math

import pytest
import torch
from appendix import check
from torch import nn
from torch.testing import assert_close

from openmagvit2.models.samplers import SubTokenSampler, decode_tokens
from openmagvit2.registry import BACKBONES, HEADS

OFFICIAL = {
    'backbone.blocks.': 'spatial_blocks.',
    'head.blocks.': 'factorized_blocks.',
    'head.norm.': 'norm.',
    'head.classifiers.': 'head.',
    'head.embeddings.0.': 'pre_emb.',
    'head.embeddings.1.': 'post_emb.',
    'class_embedding.': 'class_emb.embedding_table.',
}


class Transformer(nn.Module):
    """Class embedding, backbone and head, as a generator joins them."""

    def __init__(
        self, grid, vocab_sizes, num_classes, dim, num_layers, intra_layers, num_heads
    ) -> None:
        super().__init__()
        self.class_embedding = nn.Embedding(num_classes + 1, dim)
        self.backbone = BACKBONES.build(
            dict(type='Llama', grid=grid, dim=dim, num_layers=num_layers, num_heads=num_heads)
        )
        self.head = HEADS.build(
            dict(
                type='NextSubTokenHead',
                vocab_sizes=vocab_sizes,
                dim=dim,
                num_heads=num_heads,
                num_layers=intra_layers,
            )
        )

    def forward(self, sub_indices, labels):
        return self.head.logits(self.context(sub_indices, labels), sub_indices)

    def context(self, sub_indices, labels):
        start = self.class_embedding(labels)[:, None]
        return self.backbone(torch.cat([start, self.head.embed(sub_indices)[:, :-1]], 1))


def official(name: str) -> str:
    for ours, theirs in OFFICIAL.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise AssertionError(name)


def tiny() -> Transformer:
    return Transformer(
        (4, 4), [4, 16], 10, dim=64, num_layers=2, intra_layers=1, num_heads=4
    ).eval()


@torch.no_grad()
def fill_by_official_names(model: nn.Module) -> nn.Module:
    for k, (name, p) in enumerate(sorted((official(n), p) for n, p in model.named_parameters())):
        s = torch.sin(0.7 * torch.arange(p.numel(), dtype=torch.float64) + 1.3 * k).reshape(p.shape)
        p.copy_(
            s * math.sqrt(3 / (p.numel() // p.shape[0]))
            if p.dim() > 1
            else 1 + 0.1 * s
            if name.endswith('weight')
            else 0.1 * s
        )
    return model


def test_figures():
    model = fill_by_official_names(tiny())
    assert sum(p.numel() for p in model.parameters()) == 200_320
    i = torch.arange(16)
    sub = torch.stack(
        [
            torch.stack([(3 * i + 1) % 4, i**2 % 4]),
            torch.stack([(5 * i + 2) % 16, (7 * i + 3) % 16]),
        ],
        -1,
    )
    labels = torch.tensor([3, 10])
    first, second = model(sub, labels)
    check(
        first,
        0.211431,
        0.972714,
        [1.21203, 0.2085, -0.92685, -1.47624],
        [-0.28414, 0.75051, 1.31068, 1.04224],
    )
    check(
        second,
        0.026957,
        1.240311,
        [0.75812, -1.02009, -2.1534, -1.92532],
        [-0.18459, 0.1818, 0.43326, 0.41081],
    )
    losses = torch.stack(list(model.head.loss(model.context(sub, labels), sub).values()))
    assert_close(losses.detach(), torch.tensor([1.416041, 3.269639]), atol=1e-4, rtol=0)


def test_rope_rows():
    table = tiny().backbone.rope
    assert table.shape == (17, 8, 2) and table[0].abs().sum() == 0
    assert_close(
        table[7, :, 0],
        torch.tensor([0.5403, 0.995, 0.99995, 1, -0.41615, 0.98007, 0.9998, 1]),
        atol=1e-4,
        rtol=0,
    )
    assert_close(
        table[7, :, 1],
        torch.tensor([0.84147, 0.09983, 0.01, 0.001, 0.9093, 0.19867, 0.02, 0.002]),
        atol=1e-4,
        rtol=0,
    )


def test_greedy_sampling_with_guidance():
    model = fill_by_official_names(tiny())
    sampler = SubTokenSampler(guidance=[2.0, 1.5], top_k=1)
    labels = torch.tensor([3, 7, 10, 10])
    uniform = torch.full((2,), 0.5, dtype=torch.float64)
    sub = decode_tokens(
        model.backbone,
        model.head,
        model.class_embedding(labels)[:, None],
        16,
        lambda logits, t, i: sampler(logits, i, uniform),
    )
    assert sub[0].tolist() == [[0, 6]] * 16
    assert sub[1].tolist() == [[3, 2]] * 13 + [[1, 7], [2, 15], [0, 6]]


@pytest.mark.parametrize(
    ('dim', 'layers', 'intra', 'heads', 'count'),
    [
        (1024, 24, 2, 16, 343_570_432),
        (1280, 36, 3, 20, 804_362_240),
        (1536, 48, 4, 24, 1_486_679_040),
    ],
)
def test_full_size_counts_and_initial_loss(dim, layers, intra, heads, count):
    with torch.device('meta'):
        model = Transformer((16, 16), [64, 4096], 1000, dim, layers, intra, heads)
    assert sum(p.numel() for p in model.parameters()) == count


def test_initial_loss_and_any_number_of_sub_tokens():
    for sizes in ([64, 4096], [8], [4, 4, 4]):
        model = Transformer((2, 3), sizes, 5, dim=32, num_layers=1, intra_layers=1, num_heads=2)
        sub = torch.stack(
            [
                torch.randint(size, (2, 6), generator=torch.Generator().manual_seed(0))
                for size in sizes
            ],
            -1,
        )
        loss = sum(model.head.loss(model.context(sub, torch.tensor([0, 5])), sub).values())
        assert loss.item() == pytest.approx(sum(math.log(size) for size in sizes), abs=1e-5)


def test_causal():
    model = fill_by_official_names(tiny())
    sub = torch.zeros(1, 16, 2, dtype=torch.long)
    other = sub.clone()
    other[:, 9] = 3
    a, b = model(sub, torch.tensor([1])), model(other, torch.tensor([1]))
    for i in range(2):
        assert a[i][:, :9].equal(b[i][:, :9]) and not a[i][:, 10:].allclose(b[i][:, 10:])
    assert a[0][:, 9].equal(b[0][:, 9]) and not a[1][:, 9].allclose(b[1][:, 9])
