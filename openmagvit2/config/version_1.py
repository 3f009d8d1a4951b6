"""Translation of version 1's config keys, which merged configs in work directories contain.

Each layer of a config, a file or the overrides of the command line, is translated before it is
merged into the inherited config. Each translated key is logged.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.logging import print_log

from openmagvit2.config.merging import merge
from openmagvit2.errors import UserError
from openmagvit2.registry import ENCODERS, MODELS, Slot
from openmagvit2.signatures import accepted

# (version 1's keys of the layer; the inherited config and the other keys of the layer, both with
# current keys) -> current keys.
Translation = Callable[[dict, dict, dict], dict]

# The adversarial losses that a discriminator implied in version 1.
GAME = dict(type='Adversarial', discriminator=None)
LECAM = dict(type='LeCAM', weight=0.05)


def tokenizer(old: dict, inherited: dict, rest: dict) -> dict:
    """Translate version 1's keys of a tokenizer to ``training``; see :data:`Translation`."""
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
    """Translate a loss, whose config and weight had separate keys."""
    loss, weight = old.get(f'{name}_loss', inherited), old.get(f'{name}_weight')
    if f'{name}_loss' not in old and weight is None:
        return {}
    if loss is None and name == 'reconstruction':
        loss = dict(type='L1Loss')
    if loss is None:
        # A later file may add the loss of this weight.
        return {name: None if weight is None else dict(type=None, weight=weight)}
    own = dict(old.get(f'{name}_loss') or (dict(type=loss['type']) if 'type' in loss else {}))
    if weight is None and own.get('_delete_') and inherited and 'weight' in inherited:
        weight = inherited['weight']
    return {name: own if weight is None else own | dict(weight=weight)}


def _game(old: dict, inherited: dict | None) -> dict:
    """Translate the adversarial losses, whose parts and numbers were keys of the tokenizer."""
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
        # Its moving averages are called `lecam.*` in checkpoints.
        entry['name'] = 'lecam'
    return entry | (dict(weight=old['lecam_weight']) if 'lecam_weight' in old else {})


def _with_lecam(regularizers: list[dict], entry: dict, override: bool) -> list[dict] | dict:
    """Return the regularizers with LeCAM, or an override of the inherited list by position."""
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
    """Translate version 1's keys of a generator; see :data:`Translation`."""
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
    """Return the height and width of the images that a grid of tokens stands for."""
    if not encoder:
        raise UserError(
            'model.grid of version 1 needs the config of the tokenizer; set model.image_size, '
            'height and width of the images in pixels, instead.'
        )
    # Without memory, because only the stride is needed.
    with torch.random.fork_rng(devices=[]), torch.device('meta'):
        stride = ENCODERS.build(dict(encoder, out_channels=1)).stride
    # A list, like the settings in checkpoints.
    return [side * step for side, step in zip(grid, stride, strict=True)]


GENERATOR = dict(
    grid='image_size',
    num_classes='conditioner.num_classes',
    class_dropout='conditioner.dropout',
    token_dropout='input_dropout',
)
# Key: an argument that only the current class has. Value: version 1's keys with their new places,
# and the function that translates them.
TABLE: dict[str, tuple[dict[str, str], Translation]] = {
    'training': (TOKENIZER, tokenizer),
    'image_size': (GENERATOR, generator),
}


def translated(written: dict, base: dict, say: bool = True) -> dict:
    """Translate one layer of a config to current keys.

    Args:
        written: The content of the layer before merging.
        base: The content it will be merged into, with current keys.
        say: Log each translated key.
    """
    model = written.get('model')
    if not isinstance(model, dict):
        return written
    return dict(written, model=_model(model, base.get('model'), 'model', say))


def _model(node: dict, base: Any, path: str, say: bool) -> dict:
    base = base if isinstance(base, dict) and not node.get('_delete_') else {}
    kind = node.get('type', base.get('type'))
    # Nothing is imported, because the config of a checkpoint is not trusted.
    cls = MODELS.registered(kind)
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
            print_log(f'{path}.{key} → {path}.{keys[key]}', 'current')
        # Current keys of the same layer take precedence.
        node = merge(new, rest, path, Slot(MODELS)) | {k: node[k] for k in node if k == '_delete_'}
    if isinstance(node.get('tokenizer'), dict):
        inner = _model(node['tokenizer'], base.get('tokenizer'), f'{path}.tokenizer', say)
        node = dict(node, tokenizer=inner)
    return node
