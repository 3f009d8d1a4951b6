"""RQ-VAE and RQ-Transformer through the converter against the official code."""

from pathlib import Path

import pytest
import torch
from appendix import GOLDENS, golden
from official_networks import same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, read_checkpoints, to_official, to_ours
from openmagvit2.checkpoint.containers import packed
from openmagvit2.checkpoint.converters.rq import Rq
from openmagvit2.errors import UserError
from openmagvit2.workflows.convert import convert

# Constructor arguments of the goldens.
TOKENIZER = {
    'encoder.channel_multipliers': (2, 1),
    'encoder.attention_levels': (1,),
    'quantizer.projection': 20,
    'quantizer.quantizer.codebook_size': 32,
    'quantizer.quantizer.restart_below': None,
    'decoder.channel_multipliers': (1, 1),
    'decoder.attention_levels': (1,),
}
VAE, TRANSFORMER = (
    GOLDENS / 'systems' / f'{name}.ckpt' for name in ('rqvae_tiny', 'rqtransformer_tiny')
)


def near(found, wanted) -> None:
    assert_close(found, wanted.view(found.shape), atol=1e-4, rtol=0)


def tokenizer_options() -> dict:
    options = {f'model.{key}': value for key, value in TOKENIZER.items()}
    game = {'discriminator.channels': 8, 'start': 1}
    return options | {f'model.training.adversarial.{key}': x for key, x in game.items()}


@pytest.fixture
def tokenizer():
    model = init_model('tiny/rq_32', cfg_options=tokenizer_options())
    model.load_state_dict(to_ours(read_checkpoint(VAE)['state_dict'], model)[0]['state_dict'])
    return model


@pytest.fixture(scope='module')
def model():
    options = {f'model.tokenizer.{key}': value for key, value in TOKENIZER.items()}
    options |= {'model.image_size': 8, 'model.conditioner.num_classes': 5}
    model = init_model('tiny/ar_rq_32', cfg_options=options)
    state = read_checkpoints([VAE, TRANSFORMER])['state_dict']
    model.load_state_dict(to_ours(state, model)[0]['state_dict'])
    return model


@torch.no_grad()
def test_tokenizer(tokenizer):
    g = golden('systems/rqvae_tiny')
    out = tokenizer.encode(g['x'])
    assert out.indices.equal(g['codes'])
    near(tokenizer.reconstruct(g['x']), g['recon'])
    near(tokenizer.decode_indices(g['codes']), g['recon_from_codes'])
    quantizer = tokenizer.quantizer
    near(
        tokenizer.decode(quantizer.project_out(quantizer.dequantize(g['codes'][..., :2]))),
        g['recon_two_depths'],
    )
    near(tokenizer.discriminator(g['disc_x']), g['disc_logits'])


def test_tokenizer_training_pass(tokenizer):
    g = golden('systems/rqvae_tiny')
    x = g['x'].requires_grad_()
    out, quantized = tokenizer.train().autoencoder(x)
    assert quantized.indices.equal(g['train_codes'])
    terms, losses, _ = tokenizer.autoencoder_terms(x, out, quantized, iteration=0)
    near(losses['reconstruction'], g['train_recon_mse'])
    total = sum(terms)
    near(total, g['train_total'])
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
    (total + (out * weights).mean()).backward()
    near(x.grad, g['train_grad_x'])
    near(quantized.losses['commitment'], g['train_commitment'])


def test_tokenizer_there_and_back(tokenizer, tmp_path):
    file = torch.load(VAE, weights_only=True)
    ours = to_ours(read_checkpoint(VAE)['state_dict'], tokenizer)[0]
    back = packed(to_official(ours, tokenizer)[0]['state_dict'], Rq())
    for entry in ('state_dict', 'discriminator'):
        same(back[entry], file[entry])
    # The same through the tool, whose file has the entries of the official one.
    config = Path('configs/tiny/rq_32.py')
    convert([VAE], tmp_path / 'ours.pth', config, cfg_options=tokenizer_options())
    convert(
        [tmp_path / 'ours.pth'],
        tmp_path / 'x.ckpt',
        config,
        to='official',
        cfg_options=tokenizer_options(),
    )
    written = torch.load(tmp_path / 'x.ckpt', weights_only=True)
    assert set(written) == {'state_dict', 'discriminator'}
    assert all(written['state_dict'][k].equal(x) for k, x in file['state_dict'].items())


def test_tables_that_differ_are_refused(tokenizer):
    state = dict(read_checkpoint(VAE)['state_dict'])
    name = 'quantizer.codebooks.2.weight'
    with pytest.raises(UserError, match=f'{name} differs from quantizer.codebooks.0.weight'):
        to_ours(state | {name: state[name] + 1}, tokenizer)
    grown = {f'quantizer.codebooks.{d}.weight': state[name] + 1 for d in range(4)}
    with pytest.raises(UserError, match='codebooks.*last row must be zero'):
        to_ours(state | grown, tokenizer)
    with pytest.raises(UserError, match=f'{name} is missing'):
        to_ours({k: x for k, x in state.items() if k != name}, tokenizer)


@torch.no_grad()
def test_teacher_forced_logits(model):
    g = golden('systems/rqtransformer_tiny')
    sub = model.split(g['codes'])
    logits = torch.stack(model(sub, g['labels']), 2)
    near(logits, g['logits'].flatten(1, 2))
    losses = model.loss(sub, g['labels'])
    for depth in range(4):
        near(losses[f'sub_token_{depth}'], g['loss_per_depth'][depth])
    near(sum(losses.values()) / 4, g['loss'])
    targets = g['soft_targets'].flatten(1, 2)
    losses = model.transformer(sub, dict(label=g['labels']), targets=targets)
    for depth in range(4):
        near(losses[f'sub_token_{depth}'], g['loss_soft_per_depth'][depth])
    near(sum(losses.values()) / 4, g['loss_soft'])


@torch.no_grad()
def test_greedy(model):
    g = golden('systems/rqtransformer_tiny')
    indices = model.generate(g['labels'], dict(temperature=0))
    assert indices.equal(g['greedy'])
    near(model.decode_indices(indices), g['greedy_image'].clamp(-1, 1))


def test_transformer_there_and_back(model):
    state = read_checkpoints([VAE, TRANSFORMER])['state_dict']
    back = to_official(to_ours(state, model)[0], model)[0]['state_dict']
    # A generator keeps no discriminator.
    same(back, {k: x for k, x in state.items() if not k.startswith('beside.')})
    lone = to_ours(read_checkpoint(TRANSFORMER)['state_dict'], model)[0]['state_dict']
    assert not any(name.startswith('tokenizer.') for name in lone)
