"""Each rule converts in both directions; the values distinguish rows and axes."""

import pytest
import torch

from openmagvit2.checkpoint.converters import rules
from openmagvit2.errors import UserError


def numbers(*shape: int) -> torch.Tensor:
    return torch.arange(torch.tensor(shape).prod()).float().reshape(shape)


CASES = {
    'a name': (rules.Rename('a.b', 'c'), 'a.b', ['c'], [numbers(3)], [numbers(3)]),
    'a prefix with a number': (
        rules.Rename('blocks.{i}.wo.', 'layer_{i}.out.'),
        'blocks.12.wo.weight',
        ['layer_12.out.weight'],
        [numbers(2)],
        [numbers(2)],
    ),
    'a part': (
        rules.Under('tokenizer.', 'first.', [rules.Rename('a.', 'b.')]),
        'tokenizer.a.x',
        ['first.b.x'],
        [numbers(2)],
        [numbers(2)],
    ),
    'a squeezed axis': (
        rules.squeeze('a', 'b'),
        'a',
        ['b'],
        [numbers(2, 3, 1, 1)],
        [numbers(2, 3, 1)],
    ),
    'squeezed axes around': (
        rules.squeeze('a', 'b', (0, 2, 3)),
        'a',
        ['b'],
        [numbers(1, 4, 1, 1)],
        [numbers(4)],
    ),
    'a kernel of flax': (
        rules.permute('a', 'b', (3, 2, 0, 1)),
        'a',
        ['b'],
        [numbers(1, 2, 3, 4)],
        [numbers(1, 2, 3, 4).permute(3, 2, 0, 1)],
    ),
    'joined': (
        rules.join('a.{i}.qkv', ('b.{i}.q', 'b.{i}.k', 'b.{i}.v')),
        'a.0.qkv',
        ['b.0.q', 'b.0.k', 'b.0.v'],
        [numbers(2, 3), numbers(2, 3) + 10, numbers(2, 3) + 20],
        [torch.cat([numbers(2, 3), numbers(2, 3) + 10, numbers(2, 3) + 20])],
    ),
}


@pytest.mark.parametrize(('rule', 'name', 'official', 'theirs', 'ours'), CASES.values(), ids=CASES)
def test_there_and_back(rule, name, official, theirs, ours):
    link = rule.link(name)
    assert list(link.official) == official and name in link.ours
    assert rule.link('another') is None
    assert all(a.equal(b) for a, b in zip(link.to_ours(theirs), ours, strict=True))
    assert all(a.equal(b) for a, b in zip(link.to_official(ours), theirs, strict=True))
    # The shapes of a file are checked on the meta device.
    shapes = [x.shape for x in link.to_official([x.to('meta') for x in ours])]
    assert shapes == [x.shape for x in theirs]


def test_what_follows_from_the_config_is_checked():
    derived = rules.Derived({'mask': numbers(2, 2)}, 'mask of levels')
    derived.check('mask', numbers(2, 2).half())
    for wrong in (numbers(2, 2) + 1, numbers(4)):
        with pytest.raises(UserError, match='mask is not the mask of levels of this config'):
            derived.check('mask', wrong)
