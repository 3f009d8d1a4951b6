"""Position embeddings of the GPT backbone."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.backbones import Gpt


def test_positions_of_a_gpt():
    x = torch.randn(2, 4, 8)
    backbone = Gpt(grid=(2, 2), dim=8, num_layers=1, num_heads=1, num_positions=4).eval()
    more = Gpt(grid=(2, 2), dim=8, num_layers=1, num_heads=1, num_positions=9).eval()
    rows = more.state_dict()['position_embedding.weight']
    state = backbone.state_dict() | {'position_embedding.weight': rows}
    more.load_state_dict(state)
    with torch.no_grad():
        backbone.position_embedding.weight.copy_(rows[:4])
        assert backbone(x).equal(more(x))
    with pytest.raises(UserError, match='num_positions=3 is too small'):
        Gpt(grid=(2, 2), dim=8, num_layers=1, num_heads=1, num_positions=3)
