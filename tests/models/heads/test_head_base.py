"""What all heads share: soft targets, several positions at once, norms and embeddings."""

import pytest
import torch
from contract_arguments import arguments
from torch import nn
from torch.testing import assert_close

from openmagvit2.errors import UserError
from openmagvit2.models.heads import SeparateHead, SingleHead
from openmagvit2.registry import HEADS

SIZES = [6, 4]
CODES = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(9))


def rows(sub_indices):
    """A table for each of two codebooks: (B, T, k) to (B, T, k, 5)."""
    return torch.stack([CODES[i][values] for i, values in enumerate(sub_indices.unbind(-1))], 2)


def build(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    cls = HEADS.get(name)
    sizes = SIZES[:1] if cls.joint else SIZES
    own = dict(type=name, vocab_sizes=sizes, dim=64) | arguments(cls) | options
    head = HEADS.build(own).eval()
    for classifier in head.classifiers:
        nn.init.normal_(classifier.weight)
    return head


def batch(head: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sub = [torch.randint(size, (2, 5), generator=generator) for size in head.vocab_sizes]
    return torch.randn(2, 5, 64, generator=generator), torch.stack(sub, -1)


@pytest.mark.parametrize('name', HEADS.names())
def test_distributions_as_targets(name):
    head = build(name)
    given = dict(rows=rows) if head.needs_rows else {}
    context, sub = batch(head)
    hot = torch.stack([nn.functional.one_hot(x, 6) for x in sub.unbind(-1)], 2).float()
    assert_close(head.loss(context, sub, targets=hot, **given), head.loss(context, sub, **given))
    soft = 0.5 * hot + 0.5 * hot.roll(1, 1)
    logits = head.logits(context, sub, **given)
    for i, size in enumerate(head.vocab_sizes):
        expected = -(soft[:, :, i, :size] * logits[i].log_softmax(-1)).sum(-1).mean()
        found = head.loss(context, sub, targets=soft, **given)[f'sub_token_{i}']
        assert_close(found, expected)


@pytest.mark.parametrize('name', HEADS.names())
def test_several_positions_are_sampled_as_one_by_one(name):
    head = build(name)
    given = dict(rows=rows) if head.needs_rows else {}
    context = batch(head)[0].repeat(2, 1, 1)

    def guided(logits, i):
        first, second = logits.chunk(2)
        return (2 * first - second).argmax(-1)

    together = head.sample(context, guided, **given)
    assert together.shape == (2, 5, len(head.vocab_sizes))
    single = [head.sample(part, guided, **given) for part in context.split(1, 1)]
    assert torch.cat(single, 1).equal(together)


def test_vectors_of_the_quantizer_embed_sub_tokens():
    heads = [
        build(name, embedding='CodeEmbedding', row_dim=5)
        for name in ('SeparateHead', 'NextSubTokenHead')
    ]
    for head in heads:
        context, sub = batch(head)
        assert head.needs_rows and not any('table' in name for name in head.state_dict())
        weight, bias = head.embeddings.project.weight, head.embeddings.project.bias
        expected = (rows(sub) @ weight.T).sum(2) + 2 * bias
        assert_close(head.embed(sub, rows=rows), expected)
        assert set(head.loss(context, sub, rows=rows)) == {'sub_token_0', 'sub_token_1'}
    head = heads[1]
    drawn = head.sample(context, lambda logits, i: logits.argmax(-1), rows=rows)
    logits = head.logits(context, drawn, rows=rows)
    assert all(x.argmax(-1).equal(drawn[..., i]) for i, x in enumerate(logits))


def test_bare_classifiers():
    head = SingleHead(vocab_sizes=[7], dim=8, embedding=None, norm=None, bias=True, zero_init=False)
    assert sorted(head.state_dict()) == ['classifiers.0.bias', 'classifiers.0.weight']
    context, sub = torch.randn(1, 3, 8), torch.tensor([[[1], [6], [0]]])
    expected = nn.functional.linear(context, head.classifiers[0].weight, head.classifiers[0].bias)
    assert_close(head.logits(context, sub)[0], expected)
    expected = nn.functional.cross_entropy(expected[0], sub[0, :, 0])
    assert_close(head.loss(context, sub)['sub_token_0'], expected)
    assert 0.01 < head.classifiers[0].weight.std() < 0.03 and not head.classifiers[0].bias.any()


def test_other_norms_and_more_rows():
    head = SeparateHead(vocab_sizes=SIZES, dim=8, norm='layer_norm', more_rows=3)
    assert [len(table.weight) for table in head.embeddings] == [9, 4]
    assert 'norm.bias' in head.state_dict()
    with pytest.raises(UserError, match="norm must be .* rms_norm, layer_norm, None, got 'batch'"):
        SeparateHead(vocab_sizes=SIZES, dim=8, norm='batch')
