"""Auto-regressive generators with any grid, number of digits, prefix and order."""

import numpy as np
import pytest
import torch
from generator_parts import Table, generator
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.testing import assert_close

from openmagvit2.errors import UserError
from openmagvit2.models.backbones import Llama
from openmagvit2.models.conditioners import ClassLabel
from openmagvit2.models.orders import Order

LABELS = [3, 0, 4, 1]
GROUPED = dict(type='Grouped', groups=2, quantizer=dict(type='LFQ', num_bits=2))
RESIDUAL = dict(type='Residual', depth=3, quantizer=dict(type='VQ', codebook_size=6, code_dim=4))


class ThreeRows(ClassLabel):
    """A label as three rows."""

    def embed(self, data, tokens):
        row = self(data['label'])
        return torch.stack([row, -row, row.roll(1, -1)], 1), row


class Backwards(Order):
    """The last cell first, always."""

    needs = frozenset({'positions'})

    def __call__(self, batch, iteration=None, uniform=None):
        return torch.arange(self.num_tokens).flip(0).expand(batch, -1)


class Aimed(Llama):
    """A backbone that receives the cells that it predicts."""

    supports = frozenset({'positions', 'groups', 'targets', 'condition'})

    def forward(self, x, *, targets=None, condition=None, **given):
        self.seen = (targets, condition, given.get('positions'))
        if targets is not None:
            x = x + targets.sum(-1, keepdim=True).float().sin()
        return super().forward(x, **given)


KINDS = {
    'grid': dict(),
    'line': dict(image_size=(10,), stride=(2,)),
    'video': dict(image_size=(2, 4, 6), stride=(1, 2, 2)),
    'three sub-tokens': dict(factorization=dict(type='TokenFactorization', bits=[1, 2, 1])),
    'prefix': dict(conditioner=dict(type=ThreeRows, num_classes=5, dropout=0.0)),
    'learned': dict(
        conditioner=dict(type=ThreeRows, num_classes=5, dropout=0.0),
        backbone=dict(type='Llama', dim=32, num_layers=1, num_heads=2, learned_positions=True),
    ),
    'backwards': dict(order=dict(type=Backwards)),
    'separate': dict(head=dict(type='SeparateHead')),
    'single': dict(head=dict(type='SingleHead')),
    'groups': dict(quantizer=GROUPED, factorization=None),
    'across groups': dict(
        quantizer=GROUPED, factorization=dict(type='TokenFactorization', vocab_sizes=[2, 8])
    ),
    'vectors': dict(
        quantizer=RESIDUAL,
        factorization=None,
        head=dict(type='NextSubTokenHead', num_layers=1, dropout=0.0, embedding='CodeEmbedding'),
    ),
}


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('guidance', [1.0, 3.0])
def test_greedy_tokens_are_the_largest_teacher_forced_logits(kind, guidance):
    model = generator(**KINDS[kind])
    indices = model.generate(LABELS, dict(temperature=0, guidance=guidance))
    assert indices.shape == (4, *model.token_shape) and len(indices.unique()) > 2
    sub = model.split(indices)
    assert model.merge(sub).equal(indices)
    labels = torch.tensor(LABELS)
    with_class, without = model(sub, labels), model(sub, torch.full_like(labels, -1))
    for i, (a, b) in enumerate(zip(with_class, without, strict=True)):
        assert (b + guidance * (a - b)).argmax(-1).equal(sub[..., i])


@pytest.mark.parametrize('kind', KINDS)
def test_likelihoods_of_images_and_of_their_indices(kind):
    model = generator(**KINDS[kind])
    size = dict(line=(10,), video=(2, 4, 6)).get(kind, (4, 6))
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    label, indices = torch.tensor([1, 4]), model.tokenizer.encode(image).indices
    assert indices.shape == (2, *model.token_shape)
    sub = model.split(indices)
    nll = [
        model.val_step(dict(label=label, **data))[0]['nll']
        for data in (dict(image=image), dict(indices=indices))
    ]
    logits = model(sub, label)
    expected = -sum(
        x.log_softmax(-1).gather(-1, sub[..., i, None]).sum((1, 2)) for i, x in enumerate(logits)
    )
    assert_close(nll[0], expected)
    assert_close(nll[1], expected)
    losses = model.loss(sub, label)
    assert_close(sum(losses.values()) * model.num_tokens, expected.mean())


def test_the_same_tokens_in_any_batch():
    for kind in ('video', 'prefix', 'backwards'):
        model = generator(**KINDS[kind])
        settings = dict(guidance=2.0, top_k=5)
        whole = model.generate([0, 1, 1, 2, 0], settings, seed=3)
        parts = [
            model.generate([0, 1, 1], settings, 3, [0, 0, 1]),
            model.generate([2, 0], settings, 3, [0, 1]),
        ]
        assert torch.cat(parts).equal(whole)


def test_a_training_in_random_order():
    model = generator(
        backbone=dict(type=Aimed, dim=32, num_layers=1, num_heads=2, dropout=0.0),
        order=dict(type='Random', start=10, end=20),
    )
    sub = torch.randint(4, (2, 6, 2), generator=torch.Generator().manual_seed(0))
    data = dict(
        indices=model.merge(sub),
        label=torch.tensor([1, 2]),
        uniform=torch.tensor([0.3, 0.7], dtype=torch.float64),
    )
    log = step(model, data, 5)
    targets, condition, positions = model.backbone.seen
    cells = targets[..., 0] * 3 + targets[..., 1]
    assert (
        cells.sort(1).values.tolist() == [list(range(6))] * 2
        and cells[0].tolist() != cells[1].tolist()
    )
    assert positions[:, 0].eq(-1).all() and positions[:, 1:].equal(targets[:, :-1])
    assert condition.equal(model.class_embedding.weight[[1, 2]])
    # By hand: tokens in that order through the head and the backbone.
    ordered = sub.gather(1, cells[..., None].expand(-1, -1, 2))
    x = torch.cat([condition[:, None], model.head.embed(ordered)[:, :-1]], 1)
    context = model.backbone(x, positions=positions, targets=targets)
    assert_close(log['loss'], sum(model.head.loss(context, ordered).values()).detach())
    # Each sample's order is its own number's; late trainings and evaluation are in raster order.
    single = {name: value[1:] for name, value in data.items()}
    step(model, single, 5)
    assert model.backbone.seen[0].equal(targets[1:])
    for late in (lambda: step(model, data, 20), lambda: model.val_step(data)):
        late()
        assert model.backbone.seen[0] is None


def step(model, data: dict, iteration: int = 0) -> dict:
    """One step of a training at a rate of 0."""
    optimizer = torch.optim.SGD(model.transformer.parameters(), lr=0.0)
    wrapper = OptimWrapperDict(transformer=OptimWrapper(optimizer))
    return model.train().train_step(data, wrapper, iteration=iteration)


def test_soft_targets():
    kind = dict(
        quantizer=dict(type=Table),
        factorization=None,
        head=dict(type='SeparateHead'),
        soft_targets=dict(temperature=0.5),
    )
    model = generator(**kind)
    image = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(2))
    uniform = torch.tensor([0.25, 0.5], dtype=torch.float64)
    data = dict(image=image, label=torch.tensor([1, 2]), uniform=uniform)
    log = step(model, data)
    # Each sample's draws are numpy's, seeded by the 53 bits of its number.
    draws = [np.random.default_rng(int(u * 2**53)).random(6, np.float32) for u in uniform.tolist()]
    z = model.tokenizer.encoder(image)
    drawn, p = model.tokenizer.quantizer.soft_codes(
        z, 0.5, torch.tensor(np.stack(draws))[..., None]
    )
    assert not drawn.equal(model.tokenizer.encode(image).indices)
    logits = model(model.split(drawn), data['label'])[0]
    assert_close(log['loss'], -(p[:, :, 0] * logits.log_softmax(-1)).sum(-1).mean().detach())
    with pytest.raises(UserError, match='a token cache stores no distributions'):
        step(model, dict(data, indices=drawn))
    kind['factorization'] = dict(type='TokenFactorization', bits=[1, 1])
    with pytest.raises(UserError, match=r'codebooks of \[4\] codes, but sub-tokens have \[2, 2\]'):
        generator(**kind)


def test_distributions_of_a_residual_quantizer():
    kind = dict(KINDS['vectors'], soft_targets=dict(temperature=0.5))
    model = generator(**kind)
    image = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(2))
    log = step(
        model, dict(image=image, label=torch.tensor([1, 2]), uniform=torch.tensor([0.1, 0.9]))
    )
    names = {f'sub_token_{i}' for i in range(3)}
    assert set(log) == {'loss', *names} and log['loss'] == sum(log[name] for name in sorted(names))
    # What is drawn where is the quantizer's affair; a uniform guess costs log 6 at most by chance.
    assert log['loss'].isfinite() and not log['loss'].requires_grad


def test_labels_as_rows_of_the_tokens():
    model = generator(
        conditioner=dict(type='TokenLabel', num_classes=5, rows='behind'),
        head=dict(type='SeparateHead', more_rows=5),
    )
    assert not [name for name in model.state_dict() if name.startswith('class_embedding')]
    sub = torch.randint(4, (2, 6, 2), generator=torch.Generator().manual_seed(0))
    x = torch.cat(
        [model.head.embeddings[0].weight[[4 + 1, 4 + 3], None], model.head.embed(sub)[:, :-1]], 1
    )
    expected = model.head.logits(model.backbone(x), sub)
    assert_close(model(sub, torch.tensor([1, 3])), expected)
    assert model.generate([1, 3]).shape == (2, 2, 3)
    with pytest.raises(UserError, match='must be 1: TokenLabel has no null condition'):
        model.generate([1], dict(guidance=2.0))
    with pytest.raises(UserError, match='no null class'):
        model.generate([-1])


def test_a_conditioner_takes_the_place_of_another():
    model = generator()
    model.conditioner = ThreeRows(num_classes=7, dim=32)
    assert model.num_classes == 7 and model.conditioner is model.class_embedding
    assert [name for name in model.state_dict() if 'condition' in name] == []
    assert model.state_dict()['class_embedding.weight'].shape == (8, 32)
    assert model.generate([6]).shape == (1, 2, 3)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (
            dict(order=dict(type='Masked')),
            'predicts one token at a time, but Masked predicts several',
        ),
        (
            dict(order=dict(type='Random', start=1, end=2)),
            'Random needs a backbone that supports targets',
        ),
        (dict(image_size=None), 'model.image_size: the tokenizer accepts any image size'),
        (dict(image_size=5), 'must be divisible by 2'),
        (dict(conditioner=dict(type='TokenLabel', num_classes=9)), '9 classes need 9 rows'),
    ],
)
def test_parts_that_do_not_go_together_are_named(options, sentence):
    with pytest.raises(UserError, match=sentence):
        generator(**options)


def test_other_tokens_are_named():
    model = generator()
    with pytest.raises(UserError, match=r'shape \(2, 3\), but the token cache has \(3, 2\)'):
        model.val_step(
            dict(indices=torch.zeros(1, 3, 2, dtype=torch.int64), label=torch.tensor([0]))
        )
    with pytest.raises(
        UserError, match=r'shape \(2, 3\), but images of \(6, 4\) pixels give \(3, 2\)'
    ):
        model.tokenize(torch.zeros(1, 3, 6, 4))
