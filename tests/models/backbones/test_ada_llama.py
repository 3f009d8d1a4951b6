"""AdaLlama: one block against its formula, and the behavior of a new one."""

import torch
import torch.nn.functional as F

from openmagvit2.models.backbones import AdaLlama, Llama


def test_formula():
    torch.manual_seed(0)
    backbone = AdaLlama(grid=(2, 2), dim=16, num_layers=1, num_heads=2, dropout=0.0)
    for part in (backbone.modulation, backbone.blocks[0].modulation):
        torch.nn.init.normal_(part.weight)
        torch.nn.init.normal_(part.bias)
    x, condition, block = torch.randn(3, 4, 16), torch.randn(3, 16), backbone.blocks[0]
    g1, g2, s1, s2, b1, b2 = block.modulation(F.silu(condition)).unsqueeze(1).split(16, -1)
    y = x + g1 * block.attention(F.rms_norm(x, (16,), eps=1e-5) * (1 + s1) + b1, backbone.rope[:4])
    y = y + g2 * block.feed_forward(F.rms_norm(y, (16,), eps=1e-5) * (1 + s2) + b2)
    scale, shift = backbone.modulation(F.silu(condition)).unsqueeze(1).split(16, -1)
    expected = F.rms_norm(y, (16,), eps=1e-5) * (1 + scale) + shift
    found = backbone(x, condition=condition)
    torch.testing.assert_close(found, expected)
    cache = backbone.new_cache()
    steps = [backbone(row, condition=condition, cache=cache) for row in x.split(1, 1)]
    torch.testing.assert_close(torch.cat(steps, 1), expected)
    again = AdaLlama(grid=(2, 2), dim=16, num_layers=1, num_heads=2, checkpoint_blocks=True)
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again.eval()(x, condition=condition), expected)


def test_initial_gates_are_small():
    torch.manual_seed(0)
    arguments = dict(grid=(2, 2), dim=64, num_layers=2, num_heads=2)
    backbone = AdaLlama(**arguments, gate_gain=1e-4)
    weight = backbone.blocks[1].modulation.weight
    torch.testing.assert_close(weight[:128].std().item(), 2e-6, rtol=0.05, atol=0)
    torch.testing.assert_close(weight[128:].std().item(), 0.01, rtol=0.05, atol=0)
    torch.testing.assert_close(backbone.modulation.weight.std().item(), 0.01, rtol=0.05, atol=0)
    more = {name for name in backbone.state_dict() if name not in Llama(**arguments).state_dict()}
    assert {name.split('.')[-2] for name in more} == {'modulation', 'norm'}
