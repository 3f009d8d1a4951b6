"""WeTok's files through the converter: the numbers of the official modules, there and back."""

from pathlib import Path

import pytest
import torch
from appendix import GOLDENS, golden
from official_networks import same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.checkpoint.converters import choose

TINY = Path(__file__).parents[3] / 'configs' / 'tiny'
# Constructor arguments of the goldens.
TOKENIZER = {
    'model.encoder.channel_multipliers': (2, 1),
    'model.decoder.channel_multipliers': (2, 1),
    'model.quantizer.groups': 3,
}
GENERATOR = {
    'model.tokenizer.encoder.channel_multipliers': (1, 1),
    'model.tokenizer.decoder.channel_multipliers': (1, 1),
    'model.image_size': 6,
    'model.conditioner.num_classes': 4,
}
CASES = {
    'wetok_tiny': ('lfq_grouped_32', TOKENIZER, 'WeTok'),
    'wetok_gan_tiny': ('lfq_grouped_32', TOKENIZER | {'model.decoder.noise': True}, 'WeTok'),
    'wetok_ar_tiny': ('ar_grouped_32_official', GENERATOR, 'WeTok'),
}


@pytest.fixture(params=CASES)
def case(request):
    config, options, converter = CASES[request.param]
    model = init_model(TINY / f'{config}.py', cfg_options=options)
    state = read_checkpoint(GOLDENS / 'systems' / f'{request.param}.ckpt')['state_dict']
    assert type(choose(model, state)).__name__ == converter
    ours, _ = to_ours(state, model)
    model.load_state_dict(ours['state_dict'], strict=False)
    return golden(f'systems/{request.param}'), model, state, ours


@torch.no_grad()
def test_numbers_and_back(case):
    g, model, state, ours = case
    back, _ = to_official(ours, model)
    same(back['state_dict'], state)
    if 'recon' in g:
        out = model.encode(g['x'])
        assert_close(model.encoder(g['x']), g['z'], atol=1e-4, rtol=0)
        assert out.indices.equal(g['indices'])
        images = model.decoder(out.codes, noise=g.get('noise'))
        assert_close(images, g['recon'], atol=1e-4, rtol=0)
        return
    for i, logits in enumerate(model(g['sub_indices'], g['labels'])):
        assert_close(logits, g[f'logits_{i}'], atol=1e-4, rtol=0)
    sampling = dict(temperature=0, guidance=g['cfg'].tolist())
    guided = model.generate(g['sample_labels'], sampling)
    assert model.split(guided).equal(g['greedy_guided'])
