"""Generators: caches, samplers, heads, and what the config passes on."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.config import load_config
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.rope import grid_cells
from openmagvit2.models.samplers import SubTokenSampler
from openmagvit2.models.samplers.filters import draw, top_k, top_p
from openmagvit2.models.samplers.guidance import scheduled
from openmagvit2.registry import HEADS

CONFIGS = Path(__file__).parents[2] / 'configs'
# The others need a quantizer of several codebooks; see test_cumulative.
HEAD_NAMES = [name for name in HEADS.names() if not HEADS.get(name).shared_classifier]


def tiny(head: str = 'NextSubTokenHead', **options):
    torch.manual_seed(0)
    small = {'model.grid': (2, 3), 'model.head.type': head, **options}
    model = init_model(CONFIGS / 'tiny' / 'ar_32.py', cfg_options=small)
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    return model


@pytest.mark.parametrize('learned', [False, True])
@pytest.mark.parametrize('head', HEAD_NAMES)
def test_cache_gives_the_same_context(head, learned):
    model = tiny(head, **{'model.backbone.learned_positions': learned})
    x = torch.randn(3, 6, 64, generator=torch.Generator().manual_seed(1))
    whole = model.backbone(x)
    for parts in ([1] * 6, [2, 3, 1]):
        cache = model.backbone.new_cache()
        assert_close(
            torch.cat([model.backbone(part, cache=cache) for part in x.split(parts, 1)], 1),
            whole,
            atol=1e-5,
            rtol=0,
        )
    cells = torch.cat([torch.full((1, 2), -1), grid_cells((2, 3))])[:6]
    assert_close(model.backbone(x, positions=cells), whole)
    assert_close(model.backbone(x, positions=cells.expand(3, -1, -1)), whole)


def test_learned_positions_are_vectors_added_to_the_input():
    plain, learned = (
        tiny(**{'model.backbone.learned_positions': flag}).backbone for flag in (False, True)
    )
    assert 'position_embedding.weight' not in plain.state_dict()
    plain.load_state_dict(
        {name: value for name, value in learned.state_dict().items() if name in plain.state_dict()}
    )
    x = torch.randn(2, 6, 64, generator=torch.Generator().manual_seed(1))
    assert_close(learned(x), plain(x + learned.position_embedding.weight[:6]))
    assert (learned(x) - plain(x)).abs().max() > 1e-3


@pytest.mark.parametrize('head', HEAD_NAMES)
def test_sampled_tokens_are_the_largest_teacher_forced_logits(head):
    model = tiny(head)
    labels = torch.tensor([3, 7])
    indices = model.generate(labels, dict(temperature=0))
    sub = model.factorization.split(indices.flatten(1))
    for i, logits in enumerate(model(sub, labels)):
        assert logits.argmax(-1).equal(sub[..., i])


def test_the_same_pixels_in_any_batch():
    # At this width the decoder of the quickstart rounds one or two rows in another way than more.
    model = init_model(
        CONFIGS / 'quickstart' / 'ar_28.py', cfg_options={'model.tokenizer.checkpoint': None}
    )
    indices = torch.randint(1000, (20, 7, 7), generator=torch.Generator().manual_seed(0))
    whole = model.decode_indices(indices)
    for size in (1, 2, 7):
        assert torch.cat([model.decode_indices(part) for part in indices.split(size)]).equal(
            whole
        ), size


@pytest.mark.parametrize('head', HEAD_NAMES)
def test_the_same_tokens_in_any_batch(head):
    model = tiny(head)
    labels = torch.tensor([0, 1, 1, 2, 0, 9, 10])
    sampling = dict(
        guidance=[2.0, 1.0] if len(model.head.vocab_sizes) > 1 else 2.0, top_k=5, top_p=0.9
    )
    whole = model.generate(labels, sampling, seed=3)
    assert whole.shape == (7, 2, 3) and 0 <= whole.min() and whole.max() < 256
    numbers = [0, 0, 1, 0, 1, 0, 0]
    parts = [
        model.generate(labels[i : i + 2], sampling, 3, numbers[i : i + 2]) for i in range(0, 7, 2)
    ]
    assert torch.cat(parts).equal(whole)
    assert not model.generate(labels, sampling, seed=4).equal(whole)
    assert not whole[0].equal(whole[4])


@pytest.mark.parametrize('head', HEAD_NAMES)
def test_contract_of_heads(head):
    cls = HEADS.get(head)
    sizes = [12] if cls.joint else [4, 3]
    torch.manual_seed(0)
    built = HEADS.build(dict(type=head, vocab_sizes=sizes, dim=64)).eval()
    context = torch.randn(2, 5, 64, requires_grad=True)
    sub = torch.stack([torch.randint(size, (2, 5)) for size in sizes], -1)
    losses = built.loss(context, sub)
    # A fresh head predicts the uniform distribution, or nearly so without classifiers of its own.
    bound = 1e-5 if len(built.classifiers) else 0.1
    assert sum(losses.values()).item() == pytest.approx(math.log(12), abs=bound)
    for classifier in built.classifiers:
        torch.nn.init.normal_(classifier.weight)
    logits = built.logits(context, sub)
    assert [x.shape for x in logits] == [(2, 5, size) for size in sizes]
    expected = [
        -x.log_softmax(-1).gather(-1, sub[..., i, None])[..., 0] for i, x in enumerate(logits)
    ]
    assert_close(built.losses_per_token(context, sub), torch.stack(expected, -1))
    sum(built.loss(context, sub).values()).backward()
    assert context.grad.abs().sum() > 0
    assert built.embed(sub).shape == (2, 5, 64)


def test_filters():
    logits = torch.tensor([[2.0, 1.0, 1.0, 0.0]])
    assert top_k(logits, 2).isfinite().tolist() == [[True, True, True, False]]
    assert top_k(logits, 0) is logits and top_p(logits, 1.0) is logits
    p = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert top_p(p, 0.6).isfinite().tolist() == [[True, True, False, False]]
    assert top_p(p, 0.0).isfinite().tolist() == [[True, False, False, False]]
    uniform = torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(draw(p.expand(200_000, 4), uniform), minlength=4) / 200_000
    assert_close(counts, p.exp()[0], atol=0.005, rtol=0)


def test_guidance_formula_and_scale_one():
    c, u = torch.tensor([[1.0, 0.0, 3.0]]), torch.tensor([[2.0, 1.0, 0.0]])
    both = torch.cat([c, u])
    sampler = SubTokenSampler(guidance=[1.0, 3.0], temperature=0)
    assert sampler.guided and not SubTokenSampler().guided
    uniform = torch.zeros(1, dtype=torch.float64)
    assert (
        sampler(both, 0, uniform).item() == c.argmax()
        and sampler(both, 1, uniform).item() == (u + 3 * (c - u)).argmax()
    )


def test_scales_zero_and_one(monkeypatch):
    """Scale 1 runs on a batch that is not doubled; scale 0 is the null class, whatever the labels;
    mixed scales are each sub-token's own.
    """
    model, rows = tiny(), []
    forward = model.backbone.forward
    monkeypatch.setattr(
        model.backbone, 'forward', lambda x, **rest: rows.append(len(x)) or forward(x, **rest)
    )
    labels, null, greedy = torch.tensor([3, 7, 1, 5]), torch.full((4,), 10), dict(temperature=0)
    runs = {}
    for name, scale in (
        ('one', 1.0),
        ('ones', [1.0, 1.0]),
        ('zero', 0.0),
        ('mixed', [1.0, 0.0]),
        ('two', 2.0),
    ):
        rows.clear()
        runs[name] = model.generate(labels, greedy | dict(guidance=scale))
        assert set(rows) == ({4} if name.startswith('one') else {8}), name
    rows.clear()
    assert model.generate(labels, greedy | dict(guidance=1.0, schedule='cosine')).equal(
        runs['one']
    ) and set(rows) == {4}
    assert (
        runs['ones'].equal(runs['one'])
        and not runs['one'].equal(runs['two'])
        and not runs['one'].equal(runs['zero'])
    )
    assert runs['zero'].equal(model.generate(null, greedy))
    # Fewer are filled up to four: products of fewer rows round in another way.
    rows.clear()
    assert model.generate(labels[:1], greedy).equal(runs['one'][:1]) and set(rows) == {4}
    # Teacher-forced: the first sub-token is the class's choice, the second the null class's.
    sub = model.factorization.split(runs['mixed'].flatten(1))
    assert model(sub, labels)[0].argmax(-1).equal(sub[..., 0]) and model(sub, null)[1].argmax(
        -1
    ).equal(sub[..., 1])


def test_ties_and_the_first_token_of_top_p():
    """By hand: probabilities 0.4, 0.3, 0.2, 0.1; what is dropped has *more* than p before it, so
    the one that crosses p stays.
    """
    p = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    for threshold, kept in (
        (0.0, [1]),
        (0.39, [1]),
        (0.41, [1, 3]),
        (0.69, [1, 3]),
        (0.71, [1, 2, 3]),
        (0.95, [0, 1, 2, 3]),
    ):
        assert top_p(p, threshold)[0].isfinite().nonzero()[:, 0].tolist() == kept
    tied = torch.tensor([[1.0, 3.0, 2.0, 2.0, 2.0, 0.0]])
    for k, kept in (
        (1, [1]),
        (2, [1, 2, 3, 4]),
        (4, [1, 2, 3, 4]),
        (5, [0, 1, 2, 3, 4]),
        (6, [0, 1, 2, 3, 4, 5]),
        (99, [0, 1, 2, 3, 4, 5]),
    ):
        assert top_k(tied, k)[0].isfinite().nonzero()[:, 0].tolist() == kept
    # Guidance, then temperature, then the filters: null + 3 (class - null) = (4, 1, -2), halved to
    # (2, 0.5, -1); p = 0.8 keeps the first two.
    logits = torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    sampler = SubTokenSampler(guidance=3.0, temperature=2.0, top_p=0.8)
    first = math.exp(2) / (math.exp(2) + math.exp(0.5))
    for uniform, token in ((first - 0.001, 0), (first + 0.001, 1), (0.9999, 1)):
        assert sampler(logits, 0, torch.tensor([uniform], dtype=torch.float64)).item() == token


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r'sampling.top_p must be at least 0 and at most 1, got 2'):
        SubTokenSampler(top_p=2)
    model = tiny()
    with pytest.raises(ValueError, match='one for each of the 2 sub-tokens'):
        model.generate(torch.tensor([1]), dict(guidance=[1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match='labels must be from 0 to 9'):
        model.generate(torch.tensor([11]))
    with pytest.raises(ValueError, match='make 1024 codes'):
        tiny(**{'model.factorization.bits': [5, 5]})


def test_tokenizer_is_frozen_and_in_the_state_dict():
    model = tiny().train()
    assert not model.tokenizer.training and not any(
        p.requires_grad for p in model.tokenizer.parameters()
    )
    assert any(key.startswith('tokenizer.encoder') for key in model.state_dict())
    assert not any(key.startswith('transformer') for key in model.state_dict())
    own = {id(p) for p in model.transformer.parameters()}
    assert not own & {id(p) for p in model.tokenizer.parameters()}
    a, b = (tiny(**{'model.tokenizer.seed': seed}).tokenizer.state_dict() for seed in (0, 1))
    assert model.tokenizer.state_dict().keys() == a.keys()
    assert all(a[key].equal(value) for key, value in model.tokenizer.state_dict().items())
    assert any(not a[key].equal(b[key]) for key in a)


def test_generator_configs_hold_the_tokenizers_they_name():
    for generator, tokenizer in (
        ('ar_b_256', 'lfq_256'),
        ('tiny/ar_32', 'tiny/lfq_32'),
        ('quickstart/ar_28', 'quickstart/fsq_28'),
    ):
        own = load_config(CONFIGS / f'{generator}.py').model.tokenizer
        named = load_config(CONFIGS / f'{tokenizer}.py').model
        for slot in ('encoder', 'quantizer', 'decoder'):
            assert own[slot] == named[slot], generator


def test_full_size_parameters():
    model = init_model(CONFIGS / 'ar_b_256.py', device='meta')
    assert sum(p.numel() for p in model.transformer.parameters()) == 343_570_432


@pytest.mark.parametrize('p', [0.0, 0.3, 0.9, 0.999])
def test_top_p_of_a_large_vocabulary_sorts_a_part_and_keeps_the_same(p):
    generator = torch.Generator().manual_seed(0)
    peaked, flat = (scale * torch.randn(3, 20_000, generator=generator) for scale in (4.0, 0.01))
    ties = torch.randint(3, (3, 20_000), generator=generator).float()
    for logits in (peaked, flat, ties):
        values, order = logits.softmax(-1).sort(descending=True, stable=True)
        kept = torch.zeros_like(logits, dtype=torch.bool).scatter(
            -1, order, values.cumsum(-1) - values <= p
        )
        assert top_p(logits, p).isfinite().equal(kept)


def test_schedules_of_guidance():
    steps = [0.0, 0.25, 0.5, 1.0]
    assert [scheduled(3.0, 'constant', t) for t in steps] == [3.0] * 4
    assert [scheduled(3.0, 'linear', t) for t in steps] == [1.0, 1.5, 2.0, 3.0]
    assert [scheduled(3.0, 'cosine', t) for t in steps] == pytest.approx(
        [1.0, 1 + 2 * 0.14644661, 2.0, 3.0]
    )
    assert [scheduled(3.0, 'interval', t, (0.2, 0.5)) for t in steps] == [1.0, 3.0, 3.0, 1.0]
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.5]])
    sampler = SubTokenSampler(guidance=[4.0, 2.0], temperature=0, schedule=['linear', 'constant'])
    uniform = torch.zeros(1, dtype=torch.float64)
    # Scale 1 at the start: the conditional logits (0, 1) decide. Scale 4 at the end: 1 + 4 (0 - 1)
    # = -3 against 0.5 + 4 (1 - 0.5) = 2.5.
    assert [sampler(logits, 0, uniform, t).item() for t in (0.0, 1.0)] == [1, 1]
    assert sampler(torch.tensor([[0.0, 1.0], [-9.0, 5.0]]), 0, uniform, 1.0).item() == 0


def test_schedule_changes_the_tokens():
    model = tiny()
    runs = [
        model.generate(torch.tensor([1, 2, 3]), dict(guidance=6.0, schedule=name), seed=1)
        for name in ('constant', 'linear')
    ]
    assert not runs[0].equal(runs[1])
    nowhere = model.generate(
        torch.tensor([1, 2, 3]),
        dict(guidance=6.0, schedule='interval', interval=(0.99, 0.995)),
        seed=1,
    )
    assert nowhere.equal(model.generate(torch.tensor([1, 2, 3]), dict(guidance=1.0), seed=1))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(schedule='quadratic'), 'schedule must be one of'),
        (dict(interval=(0.5, 0.2)), 'interval must be two increasing numbers'),
    ],
)
def test_wrong_schedules_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SubTokenSampler(**settings)


def test_checkpointed_blocks_give_the_same_gradients():
    grads = []
    for flag in (False, True):
        model = tiny(
            **{
                'model.backbone.checkpoint_blocks': flag,
                'model.backbone.dropout': 0.2,
                'model.token_dropout': 0.2,
            }
        ).train()
        sub = torch.randint(8, (2, 6, 2), generator=torch.Generator().manual_seed(2))
        torch.manual_seed(4)
        sum(model.loss(sub, torch.tensor([1, 2])).values()).backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) > 20
    for name, grad in grads[0].items():
        assert_close(grads[1][name], grad, atol=1e-7, rtol=1e-5)


def test_caches_are_allocated_once(monkeypatch):
    model, made = tiny(), []
    append = LayerCache.append

    def counting(self, keys, values):
        fresh = self.keys is None
        out = append(self, keys, values)
        if fresh:
            made.append(tuple(self.keys.shape))
        return out

    monkeypatch.setattr(LayerCache, 'append', counting)
    model.generate(torch.tensor([1, 2, 3, 4]), dict(guidance=2.0))
    # Two backbone blocks with room for all six inputs, one intra block with a slot for each
    # sub-token; four rows doubled.
    assert made == [(8, 4, 6, 16)] * 2 + [(8, 4, 2, 16)]


def test_compiled_blocks_keep_names_and_numbers():
    plain, compiled = tiny(), tiny(**{'model.backbone.compile_blocks': True})
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    assert not any(block._compiled_call_impl for block in plain.backbone.blocks)
    assert all(block._compiled_call_impl for block in compiled.backbone.blocks)
    # Sampling does not compile.
    labels = torch.tensor([1, 2])
    assert plain.generate(labels, dict(guidance=2.0), seed=1).equal(
        compiled.generate(labels, dict(guidance=2.0), seed=1)
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile needs a compiler')
def test_compiled_blocks_train_the_same():
    sub, grads = torch.randint(8, (2, 6, 2), generator=torch.Generator().manual_seed(2)), []
    for flag in (False, True):
        model = tiny(**{'model.backbone.compile_blocks': flag}).train()
        sum(model.loss(sub, torch.tensor([1, 2])).values()).backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        assert_close(grads[1][name], grad, atol=1e-5, rtol=1e-4)
