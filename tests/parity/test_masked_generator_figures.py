"""Published numbers of TiTok's generators on weights from a formula
(docs/reference/specification.md, TiTok).
"""

import pytest
import torch
from appendix import check
from test_generator_figures import by_rule

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official, to_ours

SIZES = {
    'model.tokenizer.encoder.num_tokens': 5,
    'model.tokenizer.decoder.num_tokens': 5,
    'model.tokenizer.quantizer.codebook_size': 7,
    'model.conditioner.num_classes': 3,
    'model.backbone.dim': 16,
    'model.backbone.num_layers': 2,
    'model.backbone.num_heads': 2,
    'model.backbone.hidden': 24,
}
# Parameters, mean, deviation, first and last logits, loss.
FIGURES = {
    'titok_ar_32': (
        4391,
        0.109144,
        1.363490,
        [-1.47188, -0.704622, 1.07405, 1.06284],
        [0.513877, -1.06183, -0.878382, 0.814448],
        1.665138,
    ),
    'titok_ar_uvit_32': (
        6703,
        0.044381,
        0.593171,
        [0.0722974, -0.152458, -0.196904, -0.0355166],
        [-0.144896, 0.183356, 0.17051, -0.0862787],
        2.278932,
    ),
}


@torch.no_grad()
@pytest.mark.parametrize('name', FIGURES)
def test_logits_and_loss(name):
    parameters, *figures, loss = FIGURES[name]
    model = init_model(f'tiny/{name}', cfg_options=SIZES)
    official = to_official(dict(state_dict=model.state_dict()), model)[0]['state_dict']
    assert sum(x.numel() for x in official.values()) == parameters
    ours = to_ours(by_rule(official), model)[0]['state_dict']
    model.load_state_dict(ours, strict=False)
    sub_indices = torch.tensor([2, 3, 6, 0, 1])[None, :, None]
    masked = torch.tensor([[True, False, True, False, True]])
    condition = dict(label=torch.tensor([1]))
    check(model(sub_indices, condition, masked)[0], *figures)
    model.head.train()
    found = model.losses(sub_indices, condition, masked=masked)['sub_token_0']
    assert found.item() == pytest.approx(loss, abs=1e-4)
