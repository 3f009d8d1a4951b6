"""RAR's backbone: blocks that start as the identity, token order, position tables, samples."""

import torch

from openmagvit2.apis import init_model
from openmagvit2.models.backbones import Rar
from openmagvit2.models.samplers.guidance import scheduled


def filled(**options):
    torch.manual_seed(0)
    backbone = Rar(grid=(2, 3), dim=16, num_layers=2, num_heads=2, **options).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return backbone


@torch.no_grad()
def test_blocks_pass_their_input_at_first():
    backbone = Rar(grid=(2, 3), dim=16, num_layers=2, num_heads=2).eval()
    x, condition = torch.randn(2, 6, 16), torch.randn(2, 16)
    rows = backbone.position_embedding.weight[1:7] + backbone.target_embedding.weight[2:8]
    expected = torch.nn.functional.layer_norm(x + rows, (16,), eps=1e-6)
    torch.testing.assert_close(backbone(x, condition=condition), expected)


@torch.no_grad()
def test_raster_order_is_the_default_and_orders_permute_places():
    backbone, x = filled(), torch.randn(2, 6, 16)
    cells = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(3), indexing='ij'), -1)
    cells = cells.flatten(0, 1)
    places = torch.cat([torch.full((1, 2), -1), cells[:-1]])
    same = backbone(x, positions=places, targets=cells)
    torch.testing.assert_close(same, backbone(x))
    other = cells[torch.tensor([3, 0, 1, 2, 4, 5])]
    moved = backbone(x, positions=torch.cat([places[:1], other[:-1]]), targets=other)
    assert not torch.allclose(moved, same)
    # The last row may be a token that predicts nothing.
    longer = backbone(torch.cat([x, x[:, :1]], 1))
    torch.testing.assert_close(longer[:, :6], backbone(x))


def test_spare_rows_are_never_read():
    backbone = filled(spare_rows=3, spare_steps=2)
    backbone(torch.randn(1, 6, 16), condition=torch.randn(1, 16)).sum().backward()
    assert len(backbone.position_embedding.weight) == 11
    for table in (backbone.position_embedding, backbone.target_embedding, backbone.step_embedding):
        assert not table.weight.grad[8:].any() and table.weight.grad[2:7].any()


def test_guidance_of_a_power():
    """s 16, p 2.75, L 256: 1 + 15 (1 - cos(pi (t / L)^p)) / 2."""
    values = [scheduled(16.0, 'cosine', t / 256, power=2.75) for t in (0, 64, 128, 192, 255)]
    expected = [1, 1.018065, 1.80308, 7.404397, 15.995759]
    assert torch.allclose(torch.tensor(values), torch.tensor(expected), atol=1e-5)
    assert scheduled(3.0, 'cosine', 0.0, power=0.0) == 3.0


def test_samples_do_not_depend_on_the_batch():
    model = init_model('tiny/rar_32')
    torch.manual_seed(1)
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter)
    sampling = dict(guidance=4.0, schedule='cosine', power=2.75, closed=False)
    whole = model.generate([1, 2, 1], sampling)
    alone = model.generate([1], sampling, numbers=[1])
    assert whole[2:].equal(alone) and not whole[0].equal(whole[2])
