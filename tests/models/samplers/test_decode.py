"""NaN or infinite logits end in an error, and no sampling setting produces them."""

import pytest
import torch

from openmagvit2.apis import Generator, init_model
from openmagvit2.models.samplers import SubTokenSampler
from openmagvit2.registry import HEADS


def tiny(head: str = 'NextSubTokenHead'):
    torch.manual_seed(0)
    options = {'model.grid': (2, 3), 'model.head.type': head}
    model = init_model('tiny/ar_32', cfg_options=options)
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    return model


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize(
    'head', [name for name in HEADS.names() if not HEADS.get(name).shared_classifier]
)
def test_logits_that_are_not_finite(head, value):
    model = tiny(head)
    # One weight: only the logits of one token, of the last sub-token, are spoilt.
    classifiers = model.head.classifiers
    # A head that classifies by the table of its embedding has none.
    (classifiers[-1].weight[3, :1] if len(classifiers) else model.head.bias[3:4]).data[:] = value
    for sampling in (dict(), dict(temperature=0), dict(guidance=3.0, top_k=2), dict(top_p=0.5)):
        with pytest.raises(
            ValueError, match='logits are NaN or infinite; use another checkpoint, or float32'
        ):
            Generator(model, sampling).sample([1, 2])


def test_masked_tokens_are_no_mistake():
    model = tiny()
    model.head.classifiers[0].register_forward_hook(
        lambda module, inputs, out: out.index_fill(-1, torch.tensor([0, 2, 5]), -torch.inf)
    )
    sub = model.factorization.split(model.generate([1, 2, 3]).flatten(1))
    assert not set(sub[..., 0].flatten().tolist()) & {0, 2, 5}


@pytest.mark.parametrize('temperature', [1e-21, 1e-38, 1e-40, 5e-324])
def test_tiny_temperatures_are_greedy(temperature):
    logits = torch.tensor(
        [[3.0, -1.0, 7.0, 6.9999], [0.5, 0.25, -2.0, -2.0], [-5.0, -3.0, -9.0, -4.0]]
    )
    for uniform in (0.0, 0.6, 1 - 1e-12):
        drawn = SubTokenSampler(temperature=temperature)(
            logits, 0, torch.full((3,), uniform, dtype=torch.float64)
        )
        assert drawn.tolist() == [2, 0, 1]
    # The smallest temperature that still divides agrees.
    assert SubTokenSampler(temperature=1e-20)(
        logits, 0, torch.full((3,), 0.6, dtype=torch.float64)
    ).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('temperature', 2**70, 'at least 0 and at most 1000000, got 1180591620717411303424'),
        ('temperature', [1.0, 1e38], 'at least 0 and at most 1000000, got 1e'),
        ('top_k', 2.5, 'an integer, got 2.5'),
        ('top_k', 1e-40, 'an integer, got 1e-40'),
        ('top_k', float('nan'), 'at least 0, got nan'),
        ('top_k', -float('inf'), 'a finite number, got -inf'),
    ],
)
def test_numbers_that_no_draw_can_use(name, value, message):
    with pytest.raises(ValueError, match=f'sampling.{name} must be {message}'):
        SubTokenSampler(**{name: value})


def test_guidance_cannot_overflow():
    with pytest.raises(
        ValueError, match='sampling.guidance must be at least 0 and at most 1000000, got 1e\\+38'
    ):
        SubTokenSampler(guidance=1e38)
    logits = torch.tensor([[3.0, 2.0], [1.0, 4.0]])
    sampler = SubTokenSampler(guidance=1e6, temperature=1e-20)
    assert sampler(logits, 0, torch.full((1,), 0.5, dtype=torch.float64)).tolist() == [0]
