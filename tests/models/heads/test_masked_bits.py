"""The masked-bit head: groups, the bound on the likelihood, memory, samples in any batch."""

import pytest
import torch
from torch import nn

from openmagvit2.apis import init_model
from openmagvit2.models.heads import MaskedBitHead
from openmagvit2.models.heads.masked_bits import grouped


def made(count=4, **options) -> MaskedBitHead:
    torch.manual_seed(0)
    head = MaskedBitHead(vocab_sizes=[2] * count, dim=16, num_layers=1, dropout=0.0, **options)
    for classifier in head.classifiers:
        nn.init.normal_(classifier.weight, 0.0, 0.5)
    return head


def test_groups_grow():
    assert [len(group) for group in grouped(14, 4)] == [1, 3, 4, 6]
    assert [len(group) for group in grouped(18, 1)] == [18]
    assert [len(group) for group in grouped(3, 8)] == [1, 1, 1]
    for count in range(1, 20):
        for steps in range(1, 9):
            groups = grouped(count, steps)
            assert len(groups) == min(steps, count) and all(groups)
            assert [i for group in groups for i in group] == list(range(count))


@torch.no_grad()
def test_likelihood_of_all_tokens_adds_up_to_one():
    head, context = made(steps=3).eval(), torch.randn(1, 1, 16)
    tokens = torch.cartesian_prod(*[torch.arange(2)] * 4)[:, None]
    losses = head.losses_per_token(context.expand(16, -1, -1), tokens)
    assert (-losses.sum(-1)).exp().sum().item() == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_the_training_loss_is_the_mean_over_orders():
    """Of two bits the masks are {0}, {1} once each for number 1, and both for number 2."""
    head, context, bits = made(2).train(), torch.randn(1, 1, 16), torch.tensor([[[1, 0]]])
    many = [x.expand(40_000, -1, -1) for x in (context, bits)]
    found = head.loss(*many)['sub_tokens']

    def cost(known, i):
        x = context + sum(
            head.embeddings.digit(j, bits[..., j]) if j in known else head.masks[j]
            for j in range(2)
        )
        return -head.classifiers[i](head._features(x)).log_softmax(-1)[..., bits[0, 0, i]]

    one = (cost({1}, 0) + cost({0}, 1)) / 2 * 2
    both = cost((), 0) + cost((), 1)
    assert found.item() == pytest.approx(((one + both) / 2).item(), rel=0.02)


def test_parameters_grow_with_bits_not_codes():
    def count(bits):
        with torch.device('meta'):
            head = MaskedBitHead(vocab_sizes=[2] * bits, dim=64)
        return sum(p.numel() for p in head.parameters())

    # Two rows of table and classifier, and a mask, for each bit.
    assert count(36) - count(18) == 18 * 5 * 64


def test_the_tiny_generator_samples_the_same_in_any_batch():
    model = init_model('tiny/ar_bits_32')
    for classifier in model.head.classifiers:
        nn.init.normal_(classifier.weight, 0.0, 0.2)
    sampling = dict(guidance=2.0)
    whole = model.generate([0, 1, 1, 2, 3], sampling, seed=1)
    alone = model.generate([1], sampling, seed=1, numbers=[1])
    assert whole.shape == (5, 8, 8) and whole[2].equal(alone[0])
    assert not whole[1].equal(whole[2])
