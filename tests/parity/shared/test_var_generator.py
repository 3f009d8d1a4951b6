"""VAR's tokenizer and transformer through the converter against the official code."""

from pathlib import Path

import pytest
import torch
from appendix import GOLDENS, golden
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.errors import UserError
from openmagvit2.models.samplers.filters import top_k, top_p

TINY = Path(__file__).parents[3] / 'configs' / 'tiny'
# Constructor arguments of the goldens.
OPTIONS = {
    'encoder.channel_multipliers': (2, 1),
    'encoder.attention_levels': (1,),
    'quantizer.scales': (1, 2, 3),
    'quantizer.quantizer.codebook_size': 32,
    'decoder.channel_multipliers': (1, 1),
    'decoder.attention_levels': (1,),
}
VAE, VAR = (GOLDENS / 'systems' / f'{name}.ckpt' for name in ('var_vae_tiny', 'var_tiny'))


def state_of(*files: Path) -> dict:
    return {k: v for file in files for k, v in read_checkpoint(file)['state_dict'].items()}


@pytest.fixture(scope='module')
def tokenizer():
    options = {f'model.{key}': value for key, value in OPTIONS.items()}
    model = init_model(TINY / 'var_tokenizer_32.py', cfg_options=options)
    ours, _ = to_ours(state_of(VAE), model)
    model.load_state_dict(ours['state_dict'], strict=False)
    return model


@pytest.fixture(scope='module')
def model():
    options = {f'model.tokenizer.{key}': value for key, value in OPTIONS.items()}
    options |= {'model.image_size': 6, 'model.conditioner.num_classes': 5}
    model = init_model(TINY / 'var_32.py', cfg_options=options)
    ours, _ = to_ours(state_of(VAE, VAR), model)
    model.load_state_dict(ours['state_dict'])
    return model


@torch.no_grad()
def test_tokenizer(tokenizer):
    g = golden('systems/var_vae_tiny')
    out = tokenizer.encode(g['x'])
    assert out.indices.equal(g['indices'])
    assert_close(
        tokenizer.quantizer.teacher_inputs(out.indices), g['next_inputs'], atol=1e-4, rtol=0
    )
    images = tokenizer.decode_indices(out.indices).clamp(-1, 1)
    assert_close(images, g['recon'], atol=1e-4, rtol=0)


def test_tokenizer_there_and_back(tokenizer):
    state = state_of(VAE)
    back, report = to_official(to_ours(state, tokenizer)[0], tokenizer)
    assert back['state_dict'].keys() == state.keys()
    hits = 'quantize.ema_vocab_hit_SV'
    assert all(x.equal(state[k]) for k, x in back['state_dict'].items() if k != hits)
    assert back['state_dict'][hits].shape == state[hits].shape and hits in str(report)


def test_transformer_there_and_back(model):
    state = state_of(VAE, VAR)
    back, _ = to_official(to_ours(state, model)[0], model)
    assert back['state_dict'].keys() == state.keys()
    for name, tensor in state.items():
        if name != 'quantize.ema_vocab_hit_SV':
            found = back['state_dict'][name]
            assert found.equal(tensor) and found.dtype == tensor.dtype, name


def test_the_file_of_a_training(model, tmp_path):
    parts = dict(var_wo_ddp=state_of(VAR), vae_local=state_of(VAE), config=dict(lr=1e-4))
    file = tmp_path / 'ar-ckpt-last.pth'
    torch.save(dict(epoch=3, iter=0, trainer=parts, args=dict(depth=2)), file)
    content = read_checkpoint(file)
    assert content['epoch'] == 3 and 'trainer' not in content
    ours, expected = to_ours(content['state_dict'], model)[0], to_ours(state_of(VAE, VAR), model)[0]
    assert all(x.equal(expected['state_dict'][k]) for k, x in ours['state_dict'].items())


def test_files_of_other_models_are_refused(model):
    state = state_of(VAE, VAR)
    with pytest.raises(UserError, match='lvl_1L is not the table of levels'):
        to_ours(state | {'lvl_1L': state['lvl_1L'] + 1}, model)
    old = {k: v for k, v in state.items() if not k.endswith('scale_mul_1H11')}
    with pytest.raises(UserError, match='before 16 April 2024'):
        to_ours(old, model)


@torch.no_grad()
def test_teacher_forced_logits(model):
    g = golden('systems/var_tiny')
    sub_indices = g['indices'][..., None]
    condition = dict(label=g['labels'])
    assert_close(model(sub_indices, condition)[0], g['logits'], atol=1e-4, rtol=0)
    null = dict(label=torch.full_like(g['labels'], 5))
    assert_close(model(sub_indices, null)[0], g['logits_null'], atol=1e-4, rtol=0)
    loss = model.transformer(sub_indices, condition)['sub_token_0']
    assert_close(loss, g['loss'], atol=1e-5, rtol=0)
    assert_close(model.nll(sub_indices, condition).mean() / 14, g['loss'], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(('name', 'guidance'), [('greedy', 1.0), ('greedy_guided', 2.5)])
def test_greedy(model, name, guidance):
    g = golden('systems/var_tiny')
    sampling = dict(guidance=guidance, schedule='linear', temperature=0.0)
    indices = model.generate(g['labels'], sampling)
    assert indices.equal(g[f'{name}_indices'])
    assert_close(model.decode_indices(indices), g[f'{name}_image'], atol=1e-4, rtol=0)


def test_filters():
    g = golden('systems/var_tiny')
    kept = top_p(top_k(g['filter_before'], 16), 0.7)
    assert kept.isfinite().equal(g['filter_after'].isfinite())


@torch.no_grad()
def test_smooth_sampling(model):
    g = golden('systems/var_tiny')
    settings = dict(
        guidance=1 + g['filter_cfg'].item(),
        schedule='linear',
        top_k=int(g['filter_top_k']),
        top_p=g['filter_top_p'].item(),
        decoding='smooth',
    )
    sampler = model.check(g['labels'], settings)
    condition = dict(label=torch.cat([g['labels'], torch.full_like(g['labels'], 5)]))
    uniform = (-(-g['smooth_gumbel'].double()).exp()).exp()
    codes = model.mixed_codes(condition, sampler, uniform)
    found = model.tokenizer.decode(codes).clamp(-1, 1)
    assert_close(found, g['smooth_image'], atol=1e-4, rtol=0)
