"""RAR through its converter: logits in two orders, losses, greedy samples, the file back."""

import pytest
import torch
from official_networks import arrays, load_generator, near, weights
from torch.testing import assert_close

from openmagvit2.apis import init_model

OPTIONS = {
    'model.image_size': 12,
    'model.tokenizer.quantizer.codebook_size': 24,
    'model.conditioner.num_classes': 4,
    'model.backbone.dim': 32,
    'model.backbone.num_layers': 3,
    'model.backbone.num_heads': 2,
    'model.backbone.hidden': 96,
}


@pytest.fixture(scope='module')
def g():
    return arrays('rar_tiny')


@pytest.fixture(scope='module')
def model():
    state = weights('rar_tiny', None)
    spare = {
        'model.backbone.spare_rows': state['pos_embed'].shape[1] - 11,
        'model.backbone.spare_steps': state['timesteps_embeddings'].shape[1] - 11,
    }
    model = init_model('tiny/rar_32', cfg_options=OPTIONS | spare)
    return load_generator(model, state)


@torch.no_grad()
@pytest.mark.parametrize('kind', ['raster', 'random', 'null'])
def test_logits_and_losses(g, model, kind):
    sub, labels = g['indices'][..., None], g['labels']
    cells = g['orders'] if kind == 'random' else None
    if cells is not None:
        sub = sub.gather(1, cells[..., None])
    if kind == 'null':
        labels = torch.full_like(labels, 4)
    context = model.context(sub, dict(label=labels), cells)
    logits = model.head.logits(context, sub)[0]
    # Their last position predicts nothing.
    near(logits, g[f'logits_{kind}'][:, :9])
    if kind != 'null':
        loss = model.head.loss(context, sub)['sub_token_0']
        assert_close(loss, g[f'loss_{kind}'], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ('name', 'sampling'),
    [
        ('greedy', {}),
        ('greedy_constant', dict(guidance=3.0, schedule='cosine', power=0.0, closed=False)),
        ('greedy_power', dict(guidance=6.0, schedule='cosine', power=1.5, closed=False)),
    ],
)
def test_greedy_samples(g, model, name, sampling):
    tokens = model.generate(g['labels'], dict(sampling, temperature=0.0))
    assert tokens.flatten(1).equal(g[name])
