"""How a tokenizer is trained: weights, schedules, the adversarial loss, frozen parts, pixels."""

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.engine.hooks.ema import SubmoduleEMAHook
from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper, RoleOptimWrappers
from openmagvit2.errors import UserError
from openmagvit2.models.layers.iteration import one_iteration
from openmagvit2.registry import LOSSES, MODELS

PART = dict(channels=32, channel_multipliers=(1, 2), num_res_blocks=1)
GAME = dict(
    type='Adversarial',
    discriminator=dict(type='BlurPatchGAN', channels=32, num_stages=1),
    regularizers=[dict(type='LeCAM', weight=0.05, decay=0.5)],
)


def tokenizer(quantizer: dict | None = None, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='VisualTokenizer',
            encoder=dict(type='CnnEncoder', **PART),
            quantizer=quantizer or dict(type='LFQ', num_bits=4),
            decoder=dict(type='CnnDecoder', **PART),
            **kwargs,
        )
    ).train()


def optimizers(model, lr: float = 0.0) -> RoleOptimWrappers:
    return RoleOptimWrappers(
        **{
            name: AutocastOptimWrapper(
                torch.optim.SGD([p for p in role.parameters() if p.requires_grad], lr=lr)
            )
            for name, role in model.roles().items()
        }
    )


def batch(count: int = 2) -> dict:
    generator = torch.Generator().manual_seed(1)
    return dict(image=torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator))


def test_the_weighted_sums():
    training = dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=2.0),
            squared=dict(type='L2Loss', weight=dict(type='LinearWeight', start=0, end=4, steps=8)),
        ),
        quantizer_losses=dict(entropy=dict(type='LinearWeight', start=0.3, end=0.1, steps=4)),
        adversarial=GAME | dict(weight=0.7, start=2),
    )
    model = tokenizer(training=training)
    log = model.train_step(batch(), optimizers(model), iteration=2)
    expected = 0.2 * log['entropy'] + 0.25 * log['commitment'] + 2 * log['reconstruction']
    expected = expected + 1.0 * log['squared'] + 0.7 * log['adversarial']
    assert_close(log['loss'], expected)
    assert_close(log['disc_loss'], log['disc_adversarial'] + 0.05 * log['lecam'])
    before = model.train_step(batch(), optimizers(model), iteration=1)
    assert 'adversarial' not in before and 'disc_loss' not in before
    assert_close(before['reconstruction'], log['reconstruction'])


def test_names_of_version_1_in_the_state_dict():
    names = tokenizer(training=dict(adversarial=GAME)).state_dict()
    assert {name.partition('.')[0] for name in names} == {
        'encoder',
        'decoder',
        'discriminator',
        'lecam',
    }
    assert {'lecam.real_average', 'lecam.fake_average'} <= set(names)


@pytest.mark.parametrize('first', ['generator', 'discriminator'])
def test_who_steps_first(first):
    model = tokenizer(training=dict(adversarial=GAME | dict(first=first)))
    judge = model.discriminator
    before = [p.clone() for p in judge.parameters()]
    seen = []
    terms = model.recipe.adversarial.generator_terms

    def generator_terms(discriminator, *args):
        seen.append(all(map(torch.equal, before, discriminator.parameters())))
        return terms(discriminator, *args)

    model.recipe.adversarial.generator_terms = generator_terms
    model.train_step(batch(), optimizers(model, lr=1.0))
    assert seen == [first == 'generator']
    assert not all(map(torch.equal, before, judge.parameters()))


def test_an_adaptive_weight_is_logged_and_used():
    game = GAME | dict(weight=dict(type='AdaptiveWeight', weight=0.8))
    model = tokenizer(training=dict(adversarial=game))
    log = model.train_step(batch(), optimizers(model))
    image = model.data_preprocessor(batch(), True)['image']
    out, _ = model.autoencoder(image)
    layer = model.decoder.last_layer
    loss = torch.nn.functional.softplus(-model.discriminator(out).flatten(1).mean(1)).mean()
    norms = [
        torch.autograd.grad(value, layer, retain_graph=True)[0].norm()
        for value in ((out - image).abs().mean(), loss)
    ]
    assert_close(log['adversarial_weight'], 0.8 * norms[0] / (norms[1] + 1e-4))
    rest = 0.1 * log['entropy'] + 0.25 * log['commitment'] + log['reconstruction']
    assert_close(log['loss'], rest + log['adversarial_weight'] * log['adversarial'])


def test_frozen_parts():
    model = tokenizer(
        dict(type='VQ', codebook_size=16, code_dim=4),
        training=dict(freeze=('encoder', 'quantizer')),
    )
    assert not model.encoder.training and not model.quantizer.training and model.decoder.training
    kept = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith('decoder')}
    (role,) = model.roles().values()
    assert {name.partition('.')[0] for name, _ in role.named_parameters()} == {'decoder'}
    log = model.train_step(batch(), optimizers(model, lr=0.1))
    assert set(log) == {'loss', 'reconstruction'}
    state = model.state_dict()
    assert all(state[name].equal(value) for name, value in kept.items())

    hook, runner = SubmoduleEMAHook(), torch.nn.Module()
    runner.model = model
    hook.before_run(runner)
    assert {name.partition('.')[0] for name in hook.averages} == {'decoder'}
    with pytest.raises(UserError, match='training.freeze may name encoder, quantizer, decoder'):
        tokenizer(training=dict(freeze=['discriminator']))


def test_none_removes_a_loss():
    model = tokenizer(training=dict(losses=dict(reconstruction=None, l2=dict(type='L2Loss'))))
    assert set(model.recipe.losses) == {'l2'}


def test_a_training_without_any_loss_is_one_sentence():
    fsq = dict(type='FSQ', levels=[3, 3])
    model = tokenizer(fsq, training=dict(losses=dict(reconstruction=None)))
    with pytest.raises(UserError, match='^model.training: all losses are removed'):
        model.train_step(batch(), optimizers(model))


def test_pixels_of_another_range():
    losses = dict(reconstruction=dict(type='L2Loss'), images=dict(type='Mean'))
    with_mean = type('Mean', (torch.nn.Module,), dict(forward=lambda _, a, b: (a - b).mean()))
    losses['images']['type'] = with_mean
    model = tokenizer(pixels=dict(type='Pixels', range=(0, 1)), training=dict(losses=losses))
    image = torch.rand(2, 3, 8, 8) * 2 - 1
    seen = []
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    out, _ = model.autoencoder(image)
    assert_close(seen[0], (image + 1) / 2)
    assert_close(model.eval().reconstruct(image), 2 * model.autoencoder(image)[0] - 1)
    _, found = model.recipe.reconstruction_terms(image, out, model.pixels, 0)
    expected = dict(
        reconstruction=(out - (image + 1) / 2).square().mean(), images=(2 * out - 1 - image).mean()
    )
    assert_close(found, expected)
    for wrong in ((1, 0), (0,), ()):
        with pytest.raises(UserError, match='model.pixels.range must be increasing'):
            tokenizer(pixels=dict(type='Pixels', range=wrong))


def test_padding_and_grid():
    model = tokenizer(pad_value=-1.0)
    image = torch.rand(1, 3, 7, 9)
    padded, crop = model.pad(image)
    assert padded.shape == (1, 3, 8, 10) and model.grid(padded.shape[2:]) == (4, 5)
    assert padded[(..., *crop)].equal(image) and padded.sum() == pytest.approx(
        image.sum().item() - 3 * (80 - 63), abs=1e-3
    )
    assert model.encode(padded).indices.shape == (1, 4, 5)


def test_micro_batches_of_an_iteration_know_the_whole_batch():
    quantizer = dict(type='LFQ', num_bits=4, entropy_sync=True)
    one, cut = (tokenizer(quantizer, training=dict(adversarial=GAME)) for _ in range(2))
    wrappers = optimizers(cut)
    expected = one.train_step(batch(4), optimizers(one))
    micro = [dict(image=part) for part in batch(4)['image'].chunk(2)]
    with one_iteration(cut, lambda: [cut.rehearse(part, wrappers) for part in micro]):
        logs = [cut.train_step(part, wrappers) for part in micro]
    for name in ('loss', 'entropy', 'disc_loss', 'lecam'):
        assert_close((logs[0][name] + logs[1][name]) / 2, expected[name], rtol=1e-5, atol=1e-6)
    assert_close(cut.lecam.state_dict(), one.lecam.state_dict())


def test_an_adaptive_weight_needs_a_loss_to_compare_with():
    training = dict(losses=dict(reconstruction=None))
    training['adversarial'] = GAME | dict(weight=dict(type='AdaptiveWeight'))
    with pytest.raises(UserError, match='AdaptiveWeight needs a reconstruction loss'):
        tokenizer(training=training)
    # Without a discriminator there is nothing to weigh.
    training['adversarial']['discriminator'] = None
    assert tokenizer(training=training).recipe.adversarial.adaptive


@pytest.mark.parametrize('kind', sorted(set(LOSSES.names()) - {'ClassifierLoss', 'Adversarial'}))
def test_parts_of_the_loss_slot_fit_their_place_or_are_one_sentence(kind):
    part = dict(type=kind) | (dict(start=1, end=0, steps=2) if kind == 'LinearWeight' else {})
    places = {
        'losses.reconstruction': dict(losses=dict(reconstruction=part)),
        'adversarial.generator_loss': dict(adversarial=GAME | dict(generator_loss=part)),
        'adversarial.discriminator_loss': dict(adversarial=GAME | dict(discriminator_loss=part)),
        'adversarial.regularizers': dict(adversarial=GAME | dict(regularizers=[part])),
        'adversarial': dict(adversarial=part),
    }
    fits = {
        'losses.reconstruction': {'L1Loss', 'L2Loss', 'ImageL2Loss', 'LPIPSLoss'},
        'adversarial.generator_loss': {'AdversarialLoss'},
        'adversarial.discriminator_loss': {'AdversarialLoss'},
        # A distance of two logits is a penalty like another.
        'adversarial.regularizers': {'LeCAM', 'R1', 'L1Loss', 'L2Loss'},
        'adversarial': set(),
    }
    others = {'CodeCrossEntropy', 'LogitLaplaceLoss'}
    for place, training in places.items():
        if kind in fits[place]:
            tokenizer(training=training)
        elif kind not in others or not place.endswith(('reconstruction', 'regularizers')):
            with pytest.raises(UserError, match=f'^training.{place}.*{kind}'):
                tokenizer(training=training)


@pytest.mark.parametrize('name', ['encoder', 'frozen', 'discriminator', 'a.b', 'a(', 3])
def test_a_regularizer_replaces_no_part(name):
    part = dict(type='LeCAM', name=name)
    options = {'model.training.adversarial.regularizers': [part]}
    with pytest.raises(UserError, match=r'training\.adversarial\.regularizers'):
        init_model('tiny/lfq_32', cfg_options=options)
