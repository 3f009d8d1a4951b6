"""IBQ's quantizer, training step, averages and transformer against the official code, through the
converter.
"""

import pytest
import torch
from appendix import GOLDENS
from official_networks import arrays, near, same

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours

NETWORK = {
    'encoder.channel_multipliers': (1, 1),
    'encoder.attention_levels': (1,),
    'decoder.channel_multipliers': (1, 1),
    'decoder.attention_levels': (1,),
    'quantizer.codebook_size': 40,
    'quantizer.code_dim': 12,
    'quantizer.projection': 8,
    'quantizer.temperature': 0.05,
}
ONE_LEVEL = {
    f'{part}.{key}': value
    for part in ('encoder', 'decoder')
    for key, value in dict(channel_multipliers=(1,), attention_levels=(0,)).items()
}
PREFIX = 'model.training.adversarial.discriminator.channels'


def file(name: str) -> dict:
    return read_checkpoint(GOLDENS / 'systems' / f'{name}.ckpt')['state_dict']


def under(prefix: str, options: dict) -> dict:
    return {f'{prefix}.{key}': value for key, value in options.items()}


@pytest.fixture
def model():
    # The twin's weight of the entropy is not the recipe's.
    recipe = {PREFIX: 8, 'model.training.quantizer_losses.entropy': 0.05}
    model = init_model('tiny/ibq_32', cfg_options=under('model', NETWORK) | recipe)
    state = file('ibq_tiny')
    ours, _ = to_ours(state, model)
    model.load_state_dict(ours['state_dict'], strict=False)
    back = to_official(ours, model)[0]['state_dict']
    same(back, state)
    return model


def test_quantizer(model):
    case, quantizer = arrays('ibq_tiny'), model.quantizer.train()
    with torch.no_grad():
        out = model.eval().encode(case['x'])
        assert out.indices.equal(case['indices'])
        near(model.decode(out.codes), case['recon'])
    quantizer.train()
    z, table = case['z'].requires_grad_(), quantizer.embedding.weight
    out = quantizer.quantize(z)
    near(out.codes, case['codes'])
    losses = out.losses
    quant = losses['propagation'] + losses['commitment'] + 0.25 * losses['codebook']
    weights = torch.linspace(-1, 1, z.numel()).reshape(z.shape)
    near(quant, case['quant_loss'])
    near(out.stats['per_sample_entropy'], case['sample_entropy'])
    near(out.stats['codebook_entropy'], case['avg_entropy'])
    terms = dict(codes=(out.codes * weights).mean(), quant=quant, entropy=losses['entropy'])
    for name, term in terms.items():
        found = torch.autograd.grad(term, (z, table), retain_graph=True)
        for part, gradient in zip(('z', 'table'), found, strict=True):
            wanted = case[f'grad_{part}_{name}']
            scale = wanted.abs().max().item()
            torch.testing.assert_close(gradient, wanted, atol=1e-4 * scale, rtol=0)


def test_training_step(model):
    case, game = arrays('ibq_tiny'), model.recipe.adversarial
    model.train()
    assert game.first == 'discriminator'
    out, quantized = model.autoencoder(case['x'])
    _, losses, stats = game.discriminator_terms(
        model.discriminator, model._regularizers(), case['x'], out, 0
    )
    near(stats['logits_real'], case['logits_real'])
    near(stats['logits_fake'], case['logits_fake'])
    near(losses['lecam'], case['lecam_loss'])
    near(losses['disc_adversarial'] + 0.05 * losses['lecam'], case['d_loss'])
    terms, losses, _ = model.autoencoder_terms(case['x'], out, quantized, 0)
    near(losses['reconstruction'], case['l1'])
    near(losses['adversarial'], case['g_adversarial'])
    near(sum(terms), case['g_total'])
    own = model.encoder.conv_in.weight, model.quantizer.embedding.weight
    found = torch.autograd.grad(sum(terms), own)
    for gradient, name in zip(found, ('grad_conv_in', 'grad_table'), strict=True):
        scale = case[name].abs().max().item()
        torch.testing.assert_close(gradient, case[name], atol=1e-4 * scale, rtol=0)


def test_averages():
    case = arrays('ibq_ema_tiny')
    options = under('model', NETWORK | ONE_LEVEL) | {PREFIX: 8}
    model = init_model('tiny/ibq_32', cfg_options=options).eval()
    state = file('ibq_ema_tiny')
    ours, _ = to_ours(state, model)
    back = to_official(ours, model)[0]['state_dict']
    settings = ('model_ema.decay', 'model_ema.num_updates')
    assert back.keys() == state.keys()
    assert all(back[k].equal(state[k]) for k in state if k not in settings)
    for name, prefix in (('state_dict', ''), ('ema_state_dict', 'ema_')):
        model.load_state_dict(ours[name], strict=False)
        with torch.no_grad():
            z = model.encoder(case['x'])
            out = model.quantizer(z)
            near(model.quantizer.projected(z), case[f'{prefix}z'])
            assert out.indices.equal(case[f'{prefix}indices'])
            near(model.decode(out.codes), case[f'{prefix}recon'])


@pytest.fixture(scope='module')
def generator():
    options = under('model.tokenizer', NETWORK) | {
        'model.backbone.dim': 32,
        'model.backbone.num_heads': 2,
        'model.image_size': 8,
    }
    model = init_model('tiny/ar_ibq_32', cfg_options=options)
    state = file('ibq_ar_tiny')
    ours, _ = to_ours(state, model)
    model.load_state_dict(ours['state_dict'])
    back = to_official(ours, model)[0]['state_dict']
    same(back, state)
    return model.eval()


def test_transformer(generator):
    case = arrays('ibq_ar_tiny')
    tokens, labels = case['tokens'][..., None], case['labels']
    near(generator(tokens, labels)[0], case['logits'])
    loss = sum(generator.loss(tokens, labels).values())
    near(loss, case['loss'])
    table = generator.class_embedding.weight
    found = torch.autograd.grad(loss, (table, generator.backbone.blocks[0].modulation.weight))
    for gradient, name in zip(found, ('grad_class', 'grad_ada'), strict=True):
        scale = case[name].abs().max().item()
        torch.testing.assert_close(gradient, case[name], atol=1e-4 * scale, rtol=0)


@pytest.mark.parametrize(('name', 'guidance'), [('greedy', 1.0), ('greedy_guided', 2.5)])
def test_greedy_sampling(generator, name, guidance):
    case = arrays('ibq_ar_tiny')
    sampling = dict(guidance=guidance, top_k=1)
    indices = generator.generate(case['greedy_labels'], sampling)
    assert indices.flatten(1).equal(case[name])
