"""LlamaGen's transformer through the converter against the official code."""

import pytest
import torch
import torch.nn.functional as F
from appendix import GOLDENS
from official_networks import arrays, near, same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.checkpoint.containers import packed
from openmagvit2.checkpoint.converters.llamagen_ar import LlamaGenAr
from openmagvit2.errors import UserError
from openmagvit2.models.samplers import SubTokenSampler

FILE = GOLDENS / 'systems' / 'llamagen_gpt_tiny.ckpt'
# Constructor arguments of the golden: 3x3 tokens of 24 codes, 5 classes.
OPTIONS = {
    'model.tokenizer.quantizer.codebook_size': 24,
    'model.conditioner.num_classes': 5,
    'model.image_size': 12,
    'model.output_size': 8,
}


@pytest.fixture(scope='module')
def case():
    return arrays('llamagen_gpt_tiny')


@pytest.fixture(scope='module')
def model():
    model = init_model('tiny/ar_llamagen_32', cfg_options=OPTIONS)
    ours, _ = to_ours(read_checkpoint(FILE)['state_dict'], model)
    missing, unexpected = model.load_state_dict(ours['state_dict'], strict=False)
    assert not unexpected and all(name.startswith('tokenizer.') for name in missing)
    return model.eval()


@torch.no_grad()
def test_logits_and_loss(case, model):
    sub_indices, labels = model.split(case['indices'].long()), case['labels'].long()
    near(model(sub_indices, labels)[0], case['logits'])
    near(model(sub_indices, torch.full_like(labels, -1))[0], case['logits_null'])
    near(sum(model.loss(sub_indices, labels).values()), case['loss'].view(()))


@torch.no_grad()
@pytest.mark.parametrize(
    ('name', 'settings'),
    [
        ('greedy', {}),
        ('greedy_guided', dict(guidance=2.0)),
        # cfg_interval 3 of 9 tokens.
        ('greedy_interval', dict(guidance=2.0, schedule='interval', interval=(0.0, 4 / 8))),
    ],
)
def test_greedy(case, model, monkeypatch, name, settings):
    seen, choose = [], SubTokenSampler.filtered

    def watched(self, *arguments):
        seen.append(choose(self, *arguments))
        return seen[-1]

    monkeypatch.setattr(SubTokenSampler, 'filtered', watched)
    labels = case['labels'].long()
    indices = model.generate(labels, dict(temperature=0) | settings)
    assert indices.flatten(1).equal(case[name].flatten(1).long())
    logits = torch.stack(seen, 1)[: len(labels)]
    near(logits, case[f'{name}_logits'].view_as(logits))


def test_top_k_and_top_p(case):
    before, after = case['filter_before'], case['filter_after_k16_p07']
    found = SubTokenSampler(top_k=16, top_p=0.7).filtered(before, 0, len(before), 1.0)
    assert found.isfinite().equal(after.isfinite())
    assert_close(found[after.isfinite()], after[after.isfinite()])


@torch.no_grad()
def test_resize_before_clamping(case, model, monkeypatch):
    before = case['resize_before']
    monkeypatch.setattr(
        model.tokenizer, 'decode_indices', lambda indices: before.expand(len(indices), -1, -1, -1)
    )
    found = model.decode_indices(torch.zeros(len(before), 3, 3, dtype=torch.long))
    near(found, case['resize_after'].clamp(-1, 1))
    pixels = ((found + 1) * 127.5).round().byte()
    assert pixels.permute(0, 2, 3, 1).equal(case['resize_uint8'].byte().view(len(before), 8, 8, 3))
    # The other order gives other pixels.
    late = F.interpolate(before.clamp(-1, 1), (8, 8), mode='bicubic').clamp(-1, 1)
    assert (late - found).abs().max() > 1e-2


def test_there_and_back(model):
    state = read_checkpoint(FILE)['state_dict']
    ours, _ = to_ours(state, model)
    back = packed(to_official(ours, model)[0]['state_dict'], LlamaGenAr())
    file = torch.load(FILE, weights_only=True)
    assert back.keys() == {'model'}
    same(back['model'], file['model'])


def test_names_of_the_weights_in_a_file(tmp_path):
    state = torch.load(FILE, weights_only=True)['model']
    for content in (state, dict(module=state), dict(state_dict=state)):
        torch.save(content, tmp_path / 'x.pt')
        assert read_checkpoint(tmp_path / 'x.pt')['state_dict'].keys() == state.keys()


def test_rotary_angles_reveal_the_image_size(model):
    state = read_checkpoint(FILE)['state_dict']
    angles = model.backbone.rope
    to_ours(state | dict(freqs_cis=angles.bfloat16()), model)
    with pytest.raises(UserError, match='freqs_cis is .* of another size'):
        to_ours(state | dict(freqs_cis=angles[:-1]), model)
