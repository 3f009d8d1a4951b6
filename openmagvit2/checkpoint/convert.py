"""Official checkpoints to ours and back, strictly: every tensor is taken, or left out with a reason
(spec §7).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.official import (
    DROPPED,
    EMA,
    EMA_SCALARS,
    ema_names,
    is_generator,
    is_official,
    is_ours,
    mend,
    official_names,
    same,
)
from openmagvit2.errors import UserError

# Groups of which every tensor must have a place in the model; codebooks and their projections are
# of other systems, as LFQ has none.
WEIGHTS = (
    'encoder.',
    'decoder.',
    'loss.discriminator.',
    EMA,
    'transformer.',
    'first_stage_model.encoder.',
    'first_stage_model.decoder.',
)
CODEBOOKS = ('quantize.', 'quant_conv.', 'post_quant_conv.')


@dataclass
class Report:
    """What became of the tensors of a file: (group, number, action)."""

    rows: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, group: str, count: int, action: str) -> None:
        """One line; empty groups have none."""
        if count:
            self.rows.append((group, count, action))

    def __str__(self) -> str:
        width = max((len(group) for group, _, _ in self.rows), default=0)
        return '\n'.join(
            f'{group:<{width}}  {count:>5}  {action}' for group, count, action in self.rows
        )


def to_ours(
    state: dict[str, Tensor], model: nn.Module, weights: str = 'both'
) -> tuple[dict, Report]:
    """Official ``state_dict`` to a checkpoint of ours.

    Args:
        state: Tensors by official name.
        model: What the config builds; on the meta device it costs nothing.
        weights: 'both': raw weights as ``state_dict``, averages as ``ema_state_dict``; 'raw' or
            'ema': that one as ``state_dict``.

    Raises:
        UserError: A tensor is missing, misshaped, or unexpected; averages are wanted and there are
            none.
    """
    if is_ours(dict(state_dict=state)):
        raise UserError(
            'The file is a checkpoint of ours already; --to official goes the other way.'
        )
    report, left = Report(), dict(state)
    own = model.state_dict()
    raw = _take(left, own, official_names(model), 'raw', report, _optional(state, model), state)
    names = {} if is_generator(model) else ema_names(model)
    has_averages = any(name.startswith(EMA) for name in state)
    # An average belongs to a part that is there raw.
    names = {name: key for name, key in names.items() if name in raw and has_averages}
    averaged = _take(left, own, names, 'averages', report, ('discriminator.',), state)
    _account(left, report, state, model)
    if weights == 'ema' and not averaged:
        raise UserError(
            'The file has no averaged weights (model_ema.*): convert it with --weights raw or both.'
        )
    if not averaged and not is_generator(model):
        report.add('averages', 1, 'not in the file: raw weights only')
    if weights == 'both':
        return dict(state_dict=raw, ema_state_dict=averaged) if averaged else dict(
            state_dict=raw
        ), report
    # Buffers have no average.
    return dict(state_dict=raw if weights == 'raw' else raw | averaged), report


def to_official(checkpoint: dict, model: nn.Module, weights: str = 'both') -> tuple[dict, Report]:
    """A checkpoint of ours to ``dict(state_dict=…)`` under official names; see :func:`to_ours`."""
    if is_official(checkpoint['state_dict']):
        raise UserError(
            'The file is an official one already; without --to official it becomes ours.'
        )
    report, left = Report(), dict(checkpoint['state_dict'])
    own, names = model.state_dict(), official_names(model)
    identity = {name: name for name in names}
    raw = _take(
        left,
        own,
        identity,
        'raw',
        report,
        _optional({names[k]: None for k in left if k in names}, model),
        checkpoint['state_dict'],
    )
    _account(left, report, checkpoint['state_dict'], model)
    averaged: dict[str, Tensor] = {}
    if checkpoint.get('ema_state_dict') and not is_generator(model):
        # The averages of a part may have buffers; official ones do not.
        parameters = {name: name for name in ema_names(model) if name in raw}
        rest = dict(checkpoint['ema_state_dict'])
        averaged = _take(
            rest, own, parameters, 'averages', report, ('discriminator.',), checkpoint['state_dict']
        )
    if weights == 'ema':
        if not averaged:
            raise UserError(
                'The file has no averaged weights (ema_state_dict): convert it with --weights '
                'raw or both.'
            )
        raw, averaged = raw | averaged, {}
    state = {names[name]: tensor for name, tensor in raw.items()}
    if averaged and weights == 'both':
        keys = ema_names(model)
        state |= dict(
            zip(
                EMA_SCALARS, (torch.tensor(0.999), torch.tensor(-1, dtype=torch.int32)), strict=True
            )
        )
        state |= {keys[name]: tensor for name, tensor in averaged.items()}
    return dict(state_dict=state), report


def compare_tokenizers(
    inside: dict[str, Tensor], raw: dict[str, Tensor], averaged: dict[str, Tensor]
) -> str:
    """Which weights of a tokenizer a generator holds: a sentence. All three are encoder and decoder
    by our names.
    """
    kinds = [
        kind for kind, weights in (('raw', raw), ('averaged', averaged)) if same(inside, weights)
    ]
    if kinds:
        return (
            f'The tokenizer inside equals the {" and the ".join(kinds)} weights of the '
            f'tokenizer file.'
        )
    return (
        'The tokenizer inside equals neither the raw nor the averaged weights of the '
        'tokenizer file.'
    )


def encoder_and_decoder(weights: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
    """The part of some weights that makes codes and pixels, without ``prefix``."""
    parts = (f'{prefix}encoder.', f'{prefix}decoder.')
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(parts)
    }


def _optional(state: dict, model: nn.Module) -> tuple[str, ...]:
    """Our prefixes of parts that a file may lack as a whole: a discriminator, the tokenizer of a
    transformer.
    """
    absent = []
    if not any(name.startswith('loss.discriminator.') for name in state):
        absent.append('discriminator.')
    if is_generator(model) and not any(name.startswith('first_stage_model.') for name in state):
        absent.append('tokenizer.')
    return tuple(absent)


def _take(
    left: dict[str, Tensor],
    own: dict[str, Tensor],
    names: dict[str, str],
    what: str,
    report: Report,
    optional: tuple[str, ...],
    state: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Move tensors out of ``left`` under our names, checking that none is missing or misshaped."""
    taken, wrong = {}, []
    for name, key in names.items():
        tensor = left.pop(key, None)
        if tensor is None:
            if not name.startswith(optional or ('\0',)):
                wrong.append(f'{key} is missing')
        elif not isinstance(tensor, Tensor):
            wrong.append(f'{key} is a {type(tensor).__name__} instead of a tensor')
        elif tensor.shape != own[name].shape:
            wrong.append(f'{key} is {tuple(tensor.shape)} instead of {tuple(own[name].shape)}')
        else:
            taken[name] = tensor
    if wrong:
        more = f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise UserError(
            f'The file does not fit this config ({what} weights): {"; ".join(wrong[:3])}{more}. '
            f'{mend(state)}'
        )
    groups: dict[str, int] = {}
    for name in taken:
        group = '.'.join(name.split('.')[: 2 if name.startswith('tokenizer.') else 1])
        groups[group] = groups.get(group, 0) + 1
    for group, count in groups.items():
        report.add(group, count, f'taken, {what}')
    for prefix in optional:
        if any(name.startswith(prefix) for name in names) and not any(
            name.startswith(prefix) for name in taken
        ):
            report.add(
                prefix.rstrip('.'),
                sum(name.startswith(prefix) for name in names),
                f'not in the file, {what}',
            )
    return taken


def _account(
    left: dict[str, Tensor], report: Report, state: dict[str, Tensor], model: nn.Module
) -> None:
    """Report what is left over; leftovers of networks mean another config."""
    groups = {
        prefix: (why, [name for name in left if name.startswith(prefix)])
        for prefix, why in DROPPED.items()
    }
    groups['model_ema (scalars)'] = (
        'decay and count: settings of the config',
        [name for name in EMA_SCALARS if name in left],
    )
    groups['kv_cache'] = ('left by a sampling run', [name for name in left if '.kv_cache.' in name])
    configured = getattr(model, 'discriminator', None) is not None
    if not (
        configured
        and any(name.startswith(('discriminator.', 'loss.discriminator.')) for name in state)
    ):
        why = f'{"the file" if configured else "the config"} has no discriminator'
        for prefix in ('discriminator.', 'loss.discriminator.', f'{EMA}lossdiscriminator'):
            groups[prefix] = (why, [name for name in left if name.startswith(prefix)])
    for group, (why, names) in groups.items():
        report.add(group.rstrip('.'), len(names), f'dropped: {why}')
        for name in names:
            del left[name]
    foreign = [name for name in left if name.startswith(WEIGHTS + CODEBOOKS)]
    if foreign:
        more = f' and {len(foreign) - 3} more' if len(foreign) > 3 else ''
        raise UserError(
            f'The file has tensors that this config does not: {", ".join(foreign[:3])}{more}. '
            f'{mend(state)}'
        )
    unknown: dict[str, int] = {}
    for name in left:
        group = '.'.join(name.split('.')[:2]) if name.startswith('loss.') else name.split('.')[0]
        unknown[group] = unknown.get(group, 0) + 1
    for group, count in unknown.items():
        report.add(group, count, 'dropped: not part of the model')
