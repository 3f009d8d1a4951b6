"""RQ-Transformer's head: sums of codes, one classifier, caches, and its generator."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.models.heads import CumulativeCodeHead

TABLE = torch.randn(6, 5, generator=torch.Generator().manual_seed(3))


def rows(sub_indices):
    return F.embedding(sub_indices, TABLE)


def test_depths_see_sums_of_the_codes_before_through_one_bias():
    torch.manual_seed(0)
    head = CumulativeCodeHead(vocab_sizes=[6] * 3, dim=8, num_heads=2, row_dim=5, num_layers=0)
    torch.nn.init.normal_(head.project.bias)
    context = torch.randn(2, 4, 8)
    sub = torch.randint(6, (2, 4, 3))
    first, second = (TABLE[sub[..., i]] for i in range(2))
    classify = lambda x: F.linear(  # noqa: E731
        F.layer_norm(x, (8,)), head.classifiers[0].weight, head.classifiers[0].bias
    )
    expected = [
        context,
        first @ head.project.weight.T + head.project.bias,
        (first + second) @ head.project.weight.T + head.project.bias,
    ]
    found = head.logits(context, sub, rows=rows)
    for depth, x in enumerate(expected):
        assert_close(found[depth], classify(x + head.depth_embedding[depth]))
    # The input of the body counts the bias of its layer once for each code.
    layer = head.embeddings.project
    assert_close(head.embed(sub, rows=rows), rows(sub).sum(2) @ layer.weight.T + 3 * layer.bias)


def test_codebooks_of_several_sizes_are_refused():
    with pytest.raises(UserError, match='codebook sizes must be equal, got \\[6, 4\\]'):
        CumulativeCodeHead(vocab_sizes=[6, 4], row_dim=5)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = init_model('tiny/ar_rq_32', cfg_options={'model.image_size': (8, 12)})
    torch.nn.init.normal_(model.head.classifiers[0].weight, 0, 0.5)
    torch.nn.init.normal_(model.tokenizer.quantizer.quantizer.embedding.weight)
    return model


def test_greedy_tokens_are_the_largest_teacher_forced_logits(model):
    indices = model.generate([3, 7], dict(temperature=0))
    assert indices.shape == (2, 2, 3, 4)
    sub = model.split(indices)
    for i, logits in enumerate(model(sub, torch.tensor([3, 7]))):
        assert logits.argmax(-1).equal(sub[..., i])


def test_the_same_tokens_in_any_batch(model):
    sampling = dict(top_p=0.92, temperature=[1.0, 0.9, 0.8, 0.7])
    whole = model.generate([0, 1, 1, 2, 0], sampling, seed=3)
    parts = [([0, 1], [0, 0]), ([1, 2], [1, 0]), ([0], [1])]
    parts = [model.generate(labels, sampling, 3, numbers) for labels, numbers in parts]
    assert torch.cat(parts).equal(whole) and not whole[0].equal(whole[4])


def test_there_is_no_null_class(model):
    assert model.class_embedding.weight.shape == (10, 64)
    for labels in ([-1], [10]):
        with pytest.raises(UserError, match='the model has no null class'):
            model.generate(labels)
    with pytest.raises(UserError, match='guidance must be 1'):
        model.generate([1], dict(guidance=2.0))
    with pytest.raises(UserError, match='cannot be dropped without a null class'):
        init_model('tiny/ar_rq_32', cfg_options={'model.conditioner.dropout': 0.1})
    with pytest.raises(UserError, match='has label -1, .*without a null class'):
        model.conditioner.check_batch(dict(label=torch.tensor([1, -1])))


def test_blocks_computed_again_give_the_same_gradients(model):
    sub = torch.randint(256, (2, 6, 4), generator=torch.Generator().manual_seed(1))
    found = []
    for flag in (False, True):
        model.backbone.checkpoint_blocks = flag
        model.zero_grad()
        sum(model.loss(sub, torch.tensor([1, 2])).values()).backward()
        found.append(model.backbone.blocks[0].fc1.weight.grad.clone())
    assert found[0].any() and found[0].equal(found[1])
