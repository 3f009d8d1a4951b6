"""Keys of version 1, read as those of today: the merged config in a work directory has them.

Each layer of a config, a file or the overrides of the command line, is translated before it is
merged into what it inherits, with one printed line for each key.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.logging import print_log

from openmagvit2.config_merge import merge
from openmagvit2.errors import UserError
from openmagvit2.registry import ENCODERS, MODELS
from openmagvit2.signatures import Slot, accepted

# Keys of version 1 alone, the config below this layer in today's spelling, and the rest of this
# layer, to keys of today.
Translation = Callable[[dict, dict, dict], dict]

# What a discriminator brought with it.
GAME = dict(type='Adversarial', discriminator=None)
LECAM = dict(type='LeCAM', weight=0.05)


def tokenizer(old: dict, inherited: dict, rest: dict) -> dict:
    """The ``training`` of version 1's keys of a tokenizer; see :data:`Translation`."""
    before = inherited.get('training') or {}
    training: dict = {}
    for name in ('reconstruction', 'perceptual'):
        loss = _loss(name, old, (before.get('losses') or {}).get(name))
        training |= dict(losses=training.get('losses', {}) | loss) if loss else {}
    if 'quantizer_loss_weights' in old:
        training['quantizer_losses'] = old['quantizer_loss_weights'] or {}
    game = _game(old, before.get('adversarial'))
    return dict(training=training | game)


def _loss(name: str, old: dict, inherited: dict | None) -> dict:
    """A loss that had a key of its own and its weight another."""
    loss, weight = old.get(f'{name}_loss', inherited), old.get(f'{name}_weight')
    if f'{name}_loss' not in old and weight is None:
        return {}
    if loss is None and name == 'reconstruction':
        loss = dict(type='L1Loss')
    if loss is None:
        # The weight waits for a file that adds the loss.
        return {name: None if weight is None else dict(type=None, weight=weight)}
    own = dict(old.get(f'{name}_loss') or (dict(type=loss['type']) if 'type' in loss else {}))
    if weight is None and own.get('_delete_') and inherited and 'weight' in inherited:
        weight = inherited['weight']
    return {name: own if weight is None else own | dict(weight=weight)}


def _game(old: dict, inherited: dict | None) -> dict:
    """The adversarial game, whose parts and numbers stood beside each other."""
    keys = {key for key in old if TOKENIZER[key].startswith('training.adversarial')}
    if not keys:
        return {}
    if inherited is None and keys == {'discriminator'} and old['discriminator'] is None:
        return dict(adversarial=None)
    game: dict = dict(GAME, regularizers=[LECAM]) if inherited is None else {}
    if 'discriminator' in old:
        game['discriminator'] = old['discriminator']
    for key, name in (('adversarial_weight', 'weight'), ('disc_start', 'start')):
        if key in old:
            game[name] = old[key]
    if 'adversarial_loss' in old:
        game |= _adversarial_losses(old['adversarial_loss'] or {})
    lecam = _lecam(old)
    if lecam:
        regularizers = (inherited or game).get('regularizers') or []
        game['regularizers'] = _with_lecam(list(regularizers), lecam, inherited is not None)
    return dict(adversarial=game)


def _adversarial_losses(loss: dict) -> dict:
    if loss.get('type', 'AdversarialLoss') == 'AdversarialLoss':
        return dict(discriminator_loss=loss.get('discriminator', 'hinge'))
    return dict(generator_loss=loss, discriminator_loss=loss)


def _lecam(old: dict) -> dict:
    entry = dict(old.get('lecam_loss') or {})
    if 'type' in entry and entry['type'] != 'LeCAM':
        # Its averages are `lecam.*` in checkpoints.
        entry['name'] = 'lecam'
    return entry | (dict(weight=old['lecam_weight']) if 'lecam_weight' in old else {})


def _with_lecam(regularizers: list[dict], entry: dict, override: bool) -> list[dict] | dict:
    """The list with an entry for LeCAM, or what changes in an inherited list, by position."""
    for i, regularizer in enumerate(regularizers):
        if regularizer.get('type') == 'LeCAM' or regularizer.get('name') == 'lecam':
            return {str(i): entry} if override else [merge(regularizer, entry)]
    return [*regularizers, LECAM | entry]


TOKENIZER = dict(
    reconstruction_loss='training.losses.reconstruction',
    perceptual_loss='training.losses.perceptual',
    adversarial_loss='training.adversarial.discriminator_loss',
    lecam_loss='training.adversarial.regularizers',
    quantizer_loss_weights='training.quantizer_losses',
    reconstruction_weight='training.losses.reconstruction.weight',
    perceptual_weight='training.losses.perceptual.weight',
    adversarial_weight='training.adversarial.weight',
    lecam_weight='training.adversarial.regularizers',
    disc_start='training.adversarial.start',
    discriminator='training.adversarial.discriminator',
)


def generator(old: dict, inherited: dict, rest: dict) -> dict:
    """Version 1's keys of a generator as today's; see :data:`Translation`."""
    new: dict = {}
    label = {
        name: old[key]
        for key, name in (('num_classes', 'num_classes'), ('class_dropout', 'dropout'))
        if key in old
    }
    if label:
        new['conditioner'] = dict(type='ClassLabel') | label
    if 'token_dropout' in old:
        new['input_dropout'] = old['token_dropout']
    if 'grid' in old:
        frozen = merge(inherited, rest, 'model', Slot(MODELS)).get('tokenizer') or {}
        new['image_size'] = _pixels(old['grid'], frozen.get('encoder'))
    return new


def _pixels(grid: Sequence[int], encoder: dict | None) -> list[int]:
    """Sides of the images of a grid of tokens."""
    if not encoder:
        raise UserError(
            'model.grid of version 1 needs the config of the tokenizer beside it; give '
            'model.image_size, height and width of the images in pixels, instead.'
        )
    # On no device: only the stride is asked for.
    with torch.random.fork_rng(devices=[]), torch.device('meta'):
        stride = ENCODERS.build(dict(encoder, out_channels=1)).stride
    # A list, as settings in checkpoints have it.
    return [side * step for side, step in zip(grid, stride, strict=True)]


GENERATOR = dict(
    grid='image_size',
    num_classes='conditioner.num_classes',
    class_dropout='conditioner.dropout',
    token_dropout='input_dropout',
)
# By an argument that only a class in today's spelling has: the keys of version 1 and where they
# went, and the function that makes today's keys of them.
TABLE: dict[str, tuple[dict[str, str], Translation]] = {
    'training': (TOKENIZER, tokenizer),
    'image_size': (GENERATOR, generator),
}


def translated(written: dict, base: dict, say: bool = True) -> dict:
    """A layer of a config in today's spelling.

    Args:
        written: What the layer has, not merged yet.
        base: What it will be merged into, in today's spelling.
        say: Print a line for each key.
    """
    model = written.get('model')
    if not isinstance(model, dict):
        return written
    return dict(written, model=_model(model, base.get('model'), 'model', say))


def _model(node: dict, base: Any, path: str, say: bool) -> dict:
    base = base if isinstance(base, dict) and not node.get('_delete_') else {}
    kind = node.get('type', base.get('type'))
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        return node
    known = accepted(cls)
    for argument, (keys, translate) in TABLE.items():
        old = {key: node[key] for key in keys if key in node and key not in known}
        if argument not in known or not old:
            continue
        rest = {key: node[key] for key in node if key not in old and key != '_delete_'}
        new = translate(old, base, rest)
        for key in old if say else ():
            print_log(f'{path}.{key} → {path}.{keys[key]}', 'current', logging.INFO)
        # What is written in today's spelling beside it wins.
        node = merge(new, rest, path, Slot(MODELS)) | {k: node[k] for k in node if k == '_delete_'}
    if isinstance(node.get('tokenizer'), dict):
        inner = _model(node['tokenizer'], base.get('tokenizer'), f'{path}.tokenizer', say)
        node = dict(node, tokenizer=inner)
    return node
