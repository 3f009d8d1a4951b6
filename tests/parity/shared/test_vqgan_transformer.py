"""VQGAN's transformer through the converter against the official code."""

import pytest
import torch
from appendix import GOLDENS
from official_networks import arrays, near, same

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.errors import UserError

OPTIONS = {
    'model.tokenizer.encoder.channel_multipliers': (1, 1),
    'model.tokenizer.encoder.attention_levels': (1,),
    'model.tokenizer.decoder.channel_multipliers': (1, 1),
    'model.tokenizer.decoder.attention_levels': (1,),
    'model.tokenizer.quantizer.codebook_size': 24,
    'model.tokenizer.quantizer.code_dim': 8,
    'model.tokenizer.quantizer.projection': 10,
    'model.image_size': (8, 6),
    'model.conditioner.num_classes': 5,
    'model.backbone.num_positions': 12,
    'model.token_noise': 0.5,
}
FILE = GOLDENS / 'systems' / 'vqgan_ar_tiny.ckpt'


@pytest.fixture(scope='module')
def model():
    model = init_model('tiny/ar_vqgan_32', cfg_options=OPTIONS)
    ours, _ = to_ours(read_checkpoint(FILE)['state_dict'], model)
    model.load_state_dict(ours['state_dict'])
    return model.eval()


@torch.no_grad()
def test_logits_and_loss(model):
    case = arrays('vqgan_ar_tiny')
    sub_indices, labels = model.split(case['indices'].long()), case['labels'].long()
    near(model(sub_indices, labels)[0], case['logits'])
    near(sum(model.loss(sub_indices, labels).values()), case['loss'].view(()))
    images = dict(image=case['x'], label=labels)
    assert model.sub_indices(images).equal(sub_indices)


@torch.no_grad()
def test_noise_of_the_input(model):
    case = arrays('vqgan_ar_tiny')
    sub_indices, labels = model.split(case['indices'].long()), case['labels'].long()
    kept, noise = case['pkeep_kept'].bool(), case['pkeep_noise']
    uniform = torch.stack([torch.where(kept, 0.9, 0.1), (noise + 0.5) / 24], 1)[..., None]
    noisy = model.noisy(sub_indices, uniform)
    assert noisy[..., 0].equal(torch.where(kept, sub_indices[..., 0], noise.long()))
    condition = dict(label=labels)
    near(model.head.logits(model.context(noisy, condition), sub_indices)[0], case['pkeep_logits'])
    near(
        sum(model.losses(sub_indices, condition, noise=uniform).values()),
        case['pkeep_loss'].view(()),
    )


@torch.no_grad()
def test_greedy(model):
    case = arrays('vqgan_ar_tiny')
    indices = model.generate(case['labels'].long(), dict(temperature=0))
    assert indices.equal(case['greedy'].long())
    near(model.decode_indices(indices), case['greedy_image'].clamp(-1, 1))


def test_there_and_back(model):
    state = read_checkpoint(FILE)['state_dict']
    ours, _ = to_ours(state, model)
    back = to_official(ours, model)[0]['state_dict']
    same(back, state)
    mask = 'transformer.blocks.1.attn.mask'
    with pytest.raises(UserError, match='attn.mask is not the causal mask'):
        to_ours(state | {mask: torch.ones_like(state[mask])}, model)
