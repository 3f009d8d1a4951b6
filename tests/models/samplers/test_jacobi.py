"""Jacobi decoding: tokens do not depend on the window and follow the distribution of plain
decoding; weights packed for decoding.
"""

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.models.layers.decoding_weights import (
    Int8Linear,
    PackedLinear,
    can_pack,
    chosen,
    for_decoding,
)
from openmagvit2.models.samplers import build_sampler
from openmagvit2.models.samplers.jacobi import GumbelNoise


def tiny(**options):
    torch.manual_seed(0)
    options = {'model.grid': (2, 3), **options}
    model = init_model('tiny/ar_32', cfg_options=options)
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    return model


@pytest.mark.parametrize('head', ['NextSubTokenHead', 'SeparateHead', 'SingleHead'])
@pytest.mark.parametrize(
    'sampling', [dict(guidance=3.0, schedule='cosine'), dict(top_k=3), dict(top_p=0.7)]
)
def test_any_window_gives_the_same_tokens(head, sampling):
    model, labels = tiny(**{'model.head.type': head}), [1, 2, 3, 1, 7]
    runs = [
        model.generate(labels, dict(sampling, decoding='jacobi', window=window), seed=3)
        for window in (1, 2, 4, 6, 99)
    ]
    assert all(run.equal(runs[0]) for run in runs[1:])
    assert not model.generate(labels, dict(decoding='jacobi'), seed=4).equal(runs[0])


def test_any_batch_gives_the_same_tokens_and_greedy_those_of_plain_decoding():
    model, labels = tiny(), [1, 2, 3, 4, 1, 1]
    sampling = dict(guidance=2.0, decoding='jacobi', window=3)
    whole, numbers = model.generate(labels, sampling, seed=3), [0, 0, 0, 0, 1, 2]
    parts = [
        model.generate(labels[a:b], sampling, seed=3, numbers=numbers[a:b])
        for a, b in ((0, 1), (1, 4), (4, 6))
    ]
    assert torch.cat(parts).equal(whole)
    greedy = dict(guidance=2.0, temperature=0)
    assert model.generate(labels, greedy | dict(decoding='jacobi')).equal(
        model.generate(labels, greedy)
    )


def test_noise_is_gumbel_and_its_own():
    random = torch.rand(2, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = GumbelNoise(random)(0, 0, 200_000)
    assert GumbelNoise(random[1:])(0, 0, 200_000)[0].equal(noise[1])
    # Mean: Euler's constant; variance: pi^2 / 6.
    assert_close(noise.mean(1), torch.full((2,), 0.5772), atol=0.01, rtol=0)
    assert_close(noise.var(1), torch.full((2,), 1.6449), atol=0.03, rtol=0)


def p_value(a, b):
    """Of the hypothesis that two tables of counts are of one distribution (Pearson's chi-square,
    two samples of one size, cells of at least 10).
    """
    a, b = a.double(), b.double()
    rare = a + b < 20
    a, b = (torch.cat([x[~rare], x[rare].sum(0, keepdim=True)]) for x in (a, b))
    both = a + b
    statistic = ((a - b) ** 2 / both.clamp_min(1)).sum()
    return 1 - torch.special.gammainc((both > 0).sum().double() / 2 - 0.5, statistic / 2).item()


@pytest.mark.slow
def test_distribution_is_that_of_plain_decoding():
    """50,000 draws of 6 positions of 2^4 codes each way; codes of each position and pairs of
    neighbors.
    """
    model = tiny(**{'model.tokenizer.quantizer.num_bits': 4, 'model.factorization.bits': [2, 2]})
    model.eval()
    size, tables = 50_000, []
    for sampling in (dict(), dict(decoding='jacobi', window=4)):
        parts = [
            model.generate(
                [3] * 500, dict(sampling, guidance=1.5), seed=1, numbers=range(n, n + 500)
            ).flatten(1)
            for n in range(0, size, 500)
        ]
        x = torch.cat(parts)
        assert x.max() < 16 and x.shape == (size, 6)
        codes = [torch.bincount(x[:, j], minlength=16) for j in range(6)]
        pairs = [torch.bincount(16 * x[:, j] + x[:, j + 1], minlength=256) for j in range(5)]
        tables.append([*codes, *pairs])
    smallest = min(p_value(a, b) for a, b in zip(*tables, strict=True))
    # The smallest of eleven.
    assert smallest * 11 > 0.01


def test_mistakes_are_named():
    for wrong in (dict(decoding='guess'), dict(window=0), dict(weights='int3')):
        with pytest.raises(UserError, match=f'sampling.{next(iter(wrong))}'):
            build_sampler(wrong)


def test_packed_rows_do_not_depend_on_the_batch():
    model = tiny()
    if chosen('auto', model.backbone) != 'plain':
        pytest.fail('a small network is not packed')
    sampling, labels = dict(guidance=2.0, weights='packed'), [1, 2, 3, 4]
    if not can_pack(model.backbone):
        pytest.skip('needs oneDNN')
    whole = model.generate(labels, sampling, seed=3)
    assert torch.cat([model.generate([y], sampling, seed=3) for y in labels]).equal(whole)
    assert whole.equal(model.generate(labels, dict(guidance=2.0), seed=3))
    # The model itself is as it was.
    assert isinstance(model.backbone.blocks[0].attention.wqkv, torch.nn.Linear)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_packed_row_does_not_depend_on_its_neighbors(dtype):
    generator = torch.Generator().manual_seed(0)
    # Long enough for oneDNN to split the sum.
    layer = torch.nn.Linear(2816, 64, bias=False, dtype=dtype)
    if not can_pack(layer):
        pytest.skip('oneDNN does not multiply in this type here')
    with torch.no_grad():
        layer.weight.copy_(torch.randn(64, 2816, generator=generator))
        packed = PackedLinear(layer)
        rows = torch.randn(9, 2816, generator=generator).to(dtype)
        whole = packed(rows)
        torch.testing.assert_close(whole, layer(rows), rtol=0.02, atol=1e-3 * 2816**0.5)
        for count in (1, 2, 3, 4, 5):
            assert packed(rows[:count]).equal(whole[:count])
            assert packed(rows[:count, None]).shape == (count, 1, 64)


@pytest.mark.parametrize('name', ['ar_32', 'ar_ibq_32', 'ar_rq_32', 'ar_vqgan_32', 'rar_32'])
def test_all_backbones_and_heads_are_packed(name):
    model = init_model(f'tiny/{name}')
    if not can_pack(model.backbone):
        pytest.skip('needs oneDNN')
    for module in (model.backbone, model.head):
        packed = for_decoding(module, 'packed')
        kinds = [type(part) for part in packed.modules()]
        assert PackedLinear in kinds and torch.nn.Linear not in kinds
        assert {id(p) for p in packed.parameters()} == {id(p) for p in module.parameters()}
    guidance = 1.0 if model.conditioner.null(1) is None else 2.0
    sampling, labels = dict(guidance=guidance, weights='packed'), [1, 2, 3]
    whole = model.generate(labels, sampling, seed=3)
    assert torch.cat([model.generate([y], sampling, seed=3) for y in labels]).equal(whole)


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('form', [PackedLinear, Int8Linear])
def test_forms_of_weights(form, bias):
    torch.manual_seed(0)
    linear, x = torch.nn.Linear(64, 48, bias), torch.randn(9, 2, 64)
    x[3] *= 50
    with torch.no_grad():
        layer, exact = form(linear), linear(x)
        out = layer(x)
        assert out.shape == exact.shape and torch.cat([layer(row[None]) for row in x]).equal(out)
    # 7 bits of inputs and 8 of weights: about one part in 100 of the result's size.
    limit = 1e-5 if form is PackedLinear else 0.03
    error = (out - exact).pow(2).mean(-1).sqrt() / exact.pow(2).mean(-1).sqrt()
    assert error.max() < limit
