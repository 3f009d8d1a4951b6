"""The official transformer's logits and loss, under its weights."""

import torch
from appendix import golden, golden_weights
from test_generators import official, tiny
from torch.testing import assert_close


def test_golden():
    g, weights = golden('ar_tiny'), golden_weights('ar_tiny')
    model = tiny()
    model.load_state_dict(
        {name: weights[f'transformer.{official(name)}'] for name in model.state_dict()}
    )
    sub = torch.stack([g['sub_tokens_0'], g['sub_tokens_1']], -1)
    logits = model(sub, g['label'][:, 0])
    for i in range(2):
        assert_close(logits[i], g[f'logits_{i}'], atol=1e-4, rtol=0)
    loss = sum(model.head.loss(model.context(sub, g['label'][:, 0]), sub).values())
    assert_close(loss.double(), g['loss'], atol=1e-4, rtol=0)
