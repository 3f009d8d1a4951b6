"""VAR-d36's blocks: one layer computes the modulation of all, and each adds its own offset."""

import torch
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official, to_ours
from openmagvit2.models.backbones import AdaLnTransformer


@torch.no_grad()
def test_the_same_as_a_layer_for_each_block():
    torch.manual_seed(0)
    size = dict(grid=(2, 3), dim=8, num_layers=2, num_heads=2)
    shared = AdaLnTransformer(**size, shared_modulation=True).eval()
    plain = AdaLnTransformer(**size).eval()
    state = {k: x for k, x in shared.state_dict().items() if k in plain.state_dict()}
    layer = shared.shared_modulation
    for i, block in enumerate(shared.blocks):
        state[f'blocks.{i}.modulation.weight'] = layer.weight
        state[f'blocks.{i}.modulation.bias'] = layer.bias + block.offset.flatten()
    plain.load_state_dict(state)
    x, condition = torch.randn(3, 6, 8), torch.randn(3, 8)
    assert_close(shared(x, condition=condition), plain(x, condition=condition))


def test_official_names():
    options = {'model.backbone.shared_modulation': True}
    model = init_model('tiny/var_32', cfg_options=options)
    ours = model.state_dict()
    official = to_official(dict(state_dict=ours), model)[0]['state_dict']
    assert official['blocks.1.ada_gss'].shape == (1, 1, 6, 64)
    assert official['shared_ada_lin.1.weight'].shape == (6 * 64, 64)
    back = to_ours(official, model)[0]['state_dict']
    assert back.keys() == ours.keys() and all(back[name].equal(ours[name]) for name in ours)
