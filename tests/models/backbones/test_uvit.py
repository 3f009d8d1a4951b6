"""U-ViT: which block reads which early output, and sizes that do not fit."""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.models.backbones import Bert, UVit


@torch.no_grad()
def test_the_last_early_output_goes_to_the_first_late_block():
    torch.manual_seed(0)
    backbone = UVit(grid=(5,), dim=8, num_layers=4, num_heads=2)
    x = torch.randn(1, 6, 8)
    first = backbone.in_blocks[0](x + backbone.position_embedding.weight)
    second = backbone.in_blocks[1](first)
    y = backbone.middle(second)
    for skip, block, early in zip(
        backbone.skips, backbone.out_blocks, (second, first), strict=True
    ):
        y = block(torch.cat([y, early], -1) @ skip.weight.T + skip.bias)
    torch.testing.assert_close(backbone(x), y)


def test_sizes_that_do_not_fit():
    for wrong, message in (
        (dict(num_layers=3), 'even number of layers, got 3'),
        (dict(dim=9), '`dim` must be divisible by `num_heads`, got 9 and 2'),
    ):
        with pytest.raises(UserError, match=message):
            UVit(grid=(5,), **dict(dim=8, num_layers=4, num_heads=2) | wrong)
    with pytest.raises(UserError, match='must be one of tanh, none'):
        Bert(grid=(5,), dim=8, num_heads=2, approximate='erf')


@pytest.mark.parametrize('name', ['titok_ar_32', 'titok_ar_uvit_32'])
def test_samples_do_not_depend_on_the_batch(name):
    model = init_model(f'tiny/{name}')
    together = model.generate([0, 1, 2, 3, 1], seed=1)
    assert together.shape == (5, 16) and not together[1].equal(together[4])
    assert model.generate([1], seed=1, numbers=[1])[0].equal(together[4])
    assert model.generate([3, 1], seed=1, numbers=[0, 0]).equal(together[[3, 1]])
