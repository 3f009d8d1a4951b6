"""Key-value caches: truncation, and the dtype that they are stored in."""

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.models.backbones import Llama


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return Llama(grid=(2, 3), dim=32, num_layers=2, num_heads=2, learned_positions=True).eval()


def test_rows_behind_a_cut_are_computed_anew(backbone):
    x = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(1))
    other = torch.randn(2, 2, 32, generator=torch.Generator().manual_seed(2))
    cache = backbone.new_cache()
    backbone(torch.cat([x[:, :3], other], 1), cache=cache)
    for layer in cache:
        layer.cut(3)
    memory = cache[0].keys.data_ptr()
    assert_close(backbone(x[:, 3:], cache=cache), backbone(x)[:, 3:], atol=1e-5, rtol=0)
    assert cache[0].filled == 6 and cache[0].keys.data_ptr() == memory
    with pytest.raises(AssertionError, match='6 positions are filled, not 7'):
        cache[0].cut(7)


def test_keys_and_values_are_in_the_type_of_the_products(backbone):
    x, cache = torch.randn(1, 4, 32), backbone.new_cache()
    with torch.autocast('cpu', torch.bfloat16):
        backbone(x, cache=cache)
    assert {t.dtype for layer in cache for t in (layer.keys, layer.values)} == {torch.bfloat16}
    cache = backbone.new_cache()
    backbone(x, cache=cache)
    assert {t.dtype for layer in cache for t in (layer.keys, layer.values)} == {torch.float32}


def test_sets_of_rows_behind_a_cache(backbone):
    x = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(3))
    groups = (1, 2, 3)
    whole = backbone(x, groups=groups)
    cache = backbone.new_cache()
    steps = [backbone(part, groups=groups, cache=cache) for part in x.split([1, 2, 3], 1)]
    assert_close(torch.cat(steps, 1), whole, atol=1e-5, rtol=0)
    # The last of a set reaches the first of it, and none of the set before.
    changed = x.clone()
    changed[:, 5] += 1
    moved = (backbone(changed, groups=groups) - whole).abs().amax((0, 2)) > 1e-6
    assert moved.tolist() == [False] * 3 + [True] * 3
