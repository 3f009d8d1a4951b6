"""LlamaGen's tokenizer through the converter against the official code."""

import pytest
import torch
from appendix import GOLDENS
from official_networks import MeanSquares, arrays, near, same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.checkpoint.containers import packed
from openmagvit2.checkpoint.converters.llamagen import LlamaGen
from openmagvit2.errors import UserError

# Constructor arguments of the goldens.
TOKENIZER = {
    'encoder.channel_multipliers': (2, 1),
    'encoder.attention_levels': (1,),
    'quantizer.codebook_size': 24,
    'quantizer.code_dim': 4,
    'decoder.channel_multipliers': (1, 1),
    'decoder.attention_levels': (1,),
}
TRAINING = {
    'quantizer.entropy': True,
    # Published trainings have none.
    'training.quantizer_losses.entropy': 0.0,
    'training.adversarial.discriminator.channels': 8,
    'training.adversarial.start': 5,
}
VQ_FILE = GOLDENS / 'systems' / 'llamagen_vq_tiny.ckpt'


@pytest.fixture
def tokenizer():
    options = {f'model.{key}': value for key, value in (TOKENIZER | TRAINING).items()}
    model = init_model('tiny/llamagen_vq_32', cfg_options=options)
    ours, _ = to_ours(read_checkpoint(VQ_FILE)['state_dict'], model)
    model.load_state_dict(ours['state_dict'])
    model.recipe.losses['perceptual'] = MeanSquares()
    model.recipe.weights['perceptual'] = lambda iteration: 1.0
    return model


@torch.no_grad()
def test_reconstructs(tokenizer):
    case = arrays('llamagen_vq_tiny')
    tokenizer.eval()
    out = tokenizer.encode(case['x'])
    assert out.indices.flatten().equal(case['indices'].flatten().long())
    near(tokenizer.quantizer.projected(tokenizer.encoder(case['x'])), case['prequant'])
    near(out.codes, case['codes'])
    near(tokenizer.reconstruct(case['x']), case['recon'])
    near(tokenizer.decode_indices(out.indices), case['recon_from_indices'])


def test_training_step(tokenizer):
    case, game = arrays('llamagen_vq_tiny'), tokenizer.recipe.adversarial
    tokenizer.train()
    out, quantized = tokenizer.autoencoder(case['x'])
    losses = quantized.losses
    near(losses['codebook'], case['train_vq_loss'].view(()))
    near(0.25 * losses['commitment'], case['train_commit_loss'].view(()))
    near(losses['entropy'], case['train_entropy_loss'].view(()))
    weight = tokenizer.quantizer.project_in.weight
    (found,) = torch.autograd.grad(losses['entropy'], weight, retain_graph=True)
    wanted = case['train_entropy_grad_quant_conv'].view(found.shape)
    assert_close(found, wanted, atol=2e-4 * wanted.abs().max().item(), rtol=0)
    terms, parts, _ = tokenizer.autoencoder_terms(case['x'], out, quantized, 5)
    for name in ('reconstruction', 'adversarial', 'perceptual'):
        near(parts[name], case[f'train_{name}'].view(()))
    total = sum(terms)
    near(total, case['train_total'].view(()))
    own = {
        'conv_out': tokenizer.decoder.conv_out.weight,
        'embedding': tokenizer.quantizer.embedding.weight,
        'conv_in': tokenizer.encoder.conv_in.weight,
        'quant_conv': weight,
    }
    for name, parameter in own.items():
        (found,) = torch.autograd.grad(total, parameter, retain_graph=True)
        wanted = case[f'train_grad_{name}'].view(found.shape)
        assert_close(found, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=0)
    before, _, _ = tokenizer.autoencoder_terms(case['x'], out, quantized, 4)
    near(sum(before), case['train_total_before_start'].view(()))
    loss, _, stats = game.discriminator_terms(tokenizer.discriminator, {}, case['x'], out, 5)
    near(loss, case['train_disc_loss'].view(()))
    near(stats['logits_real'], case['train_logits_real'].mean())
    near(stats['logits_fake'], case['train_logits_fake'].mean())
    (found,) = torch.autograd.grad(loss, tokenizer.discriminator.main[0].weight)
    wanted = case['train_disc_grad_first']
    assert_close(found, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=0)


def test_tokenizer_there_and_back(tokenizer):
    file = torch.load(VQ_FILE, weights_only=True)
    ours, _ = to_ours(read_checkpoint(VQ_FILE)['state_dict'], tokenizer)
    back = packed(to_official(ours, tokenizer)[0]['state_dict'], LlamaGen())
    used = 'quantize.codebook_used'
    # The golden's is shorter than that of all published files.
    assert back['model'].pop(used).shape == (65536,) and file['model'].pop(used).numel()
    for entry in ('model', 'discriminator'):
        same(back[entry], file[entry])


def test_levels_in_the_wrong_order_are_refused(tokenizer):
    state = dict(read_checkpoint(VQ_FILE)['state_dict'])
    swapped = {
        name.replace('decoder.conv_blocks.0', 'x')
        .replace('decoder.conv_blocks.1', 'decoder.conv_blocks.0')
        .replace('x.', 'decoder.conv_blocks.1.'): tensor
        for name, tensor in state.items()
    }
    with pytest.raises(UserError, match=r'decoder\.conv_blocks\.\d\..* is missing'):
        to_ours(swapped, tokenizer)
