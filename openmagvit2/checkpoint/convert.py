"""Strict conversion of official checkpoints to ours and back: no tensor is dropped silently."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from openmagvit2.checkpoint.converters import Converter, choose, is_official
from openmagvit2.checkpoint.converters.rules import Link
from openmagvit2.checkpoint.ledger import Ledger, Misfit, Report, changed
from openmagvit2.checkpoint.loading import TRAINING_ONLY
from openmagvit2.checkpoint.names import official_names
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError

# Prefixes of names that occur only in checkpoints of ours; encoders and decoders have the same
# names in both.
ONLY_OURS = ('discriminator.', 'lecam.', 'backbone.', 'head.', 'class_embedding.', 'tokenizer.')


def to_ours(
    state: dict[str, Tensor],
    model: nn.Module,
    weights: str = 'both',
    converter: Converter | None = None,
    spill: Spill | None = None,
) -> tuple[dict, Report]:
    """Convert an official ``state_dict`` to a checkpoint of ours.

    Args:
        state: Tensors by official name.
        model: What the config builds; on the meta device it costs nothing.
        weights: 'both': raw weights as ``state_dict``, averages as ``ema_state_dict``; 'raw' or
            'ema': that one as ``state_dict``.
        converter: The system's converter; default: chosen by names and model.
        spill: Takes the tensors that are computed; in memory by default.

    Raises:
        UserError: A tensor is missing, misshaped, or unexpected; averages are wanted and there are
            none.
    """
    if is_ours(dict(state_dict=state), model):
        raise UserError(
            'The file is a checkpoint of ours already; --to official goes the other way.'
        )
    converter = converter or choose(model, state)
    state = converter.unified(state)
    _check_system(converter, model, state)
    ledger = Ledger(converter, model, state, spill)
    links = converter.links(model)
    raw = ledger.take(links, 'raw')
    averaged: dict[str, Tensor] = {}
    if converter.averages and any(name.startswith(converter.averages) for name in state):
        # Averages are taken only of parts with raw weights.
        averaged = ledger.take(_averages(links, model, converter, raw), 'averages')
    ledger.account()
    generator = is_generator(model)
    if weights == 'ema' and not averaged:
        raise UserError(
            'The file has no averaged weights (model_ema.*): convert it with --weights raw or both.'
        )
    if converter.averages and not averaged and not generator:
        ledger.report.add('averages', 1, 'not in the file: raw weights only')
    if weights == 'both':
        content = dict(state_dict=raw)
        return (content | dict(ema_state_dict=averaged) if averaged else content), ledger.report
    # Buffers have no average.
    return dict(state_dict=raw if weights == 'raw' else raw | averaged), ledger.report


def to_official(
    checkpoint: dict,
    model: nn.Module,
    weights: str = 'both',
    converter: Converter | None = None,
    spill: Spill | None = None,
) -> tuple[dict, Report]:
    """Convert a checkpoint of ours to ``dict(state_dict=…)`` with official names; the arguments
    are those of :func:`to_ours`.

    Raises:
        UserError: As :func:`to_ours`.
    """
    state = checkpoint['state_dict']
    if is_official(state):
        raise UserError(
            'The file is an official one already; without --to official it becomes ours.'
        )
    converter = converter or choose(model)
    links = converter.links(model)
    ledger = Ledger(converter, model, state)
    raw = ledger.take(_own(links), 'raw')
    ledger.account()
    averaged: dict[str, Tensor] = {}
    if converter.averages and checkpoint.get('ema_state_dict') and not is_generator(model):
        # The averages of a part may have buffers; official ones do not.
        kept = _averages(links, model, converter, raw)
        ledger.left = dict(checkpoint['ema_state_dict'])
        averaged = ledger.take(_own(kept), 'averages')
    if weights == 'ema':
        if not averaged:
            raise UserError(
                'The file has no averaged weights (ema_state_dict): convert it with --weights '
                'raw or both.'
            )
        raw, averaged = raw | averaged, {}
    both = bool(averaged) and weights == 'both'
    official = _named(links, raw, spill)
    official |= _made(converter, model, official, both, ledger.report)
    if both:
        official |= _named(_averages(links, model, converter, raw), averaged, spill)
    return dict(state_dict=official), ledger.report


def is_ours(checkpoint: dict, model: nn.Module) -> bool:
    """Return whether a checkpoint is one of ours, also where that shows in no single name."""
    state = checkpoint['state_dict']
    if is_official(state):
        return False
    if 'ema_state_dict' in checkpoint or any(name.startswith(ONLY_OURS) for name in state):
        return True
    own = {name for name in model.state_dict() if not name.startswith(TRAINING_ONLY)}
    # Some official files have our names.
    return own <= state.keys() and not own <= official_names(choose(model, state), model)


def _check_system(converter: Converter, model: nn.Module, state: dict[str, Tensor]) -> None:
    """Raise Misfit if the file is of the converter's system, and the model is not."""
    homeless = converter.homeless(model)
    if homeless and converter.detects(state):
        problem = (
            f'The file is of another system than this config: its layout has no place for '
            f'{homeless[0]} ({len(homeless)} such).'
        )
        raise Misfit(problem, converter, state)


def _averages(
    links: Sequence[Link], model: nn.Module, converter: Converter, raw: dict[str, Tensor]
) -> list[Link]:
    """Return links for the averages of the parameters in ``raw``; a generator has none."""
    if is_generator(model):
        return []
    parameters = {name for name, _ in model.named_parameters()}
    return [
        replace(link, official=tuple(map(converter.average, link.official)))
        for link in links
        if parameters.issuperset(link.ours) and raw.keys() >= set(link.ours)
    ]


def _own(links: Sequence[Link]) -> list[Link]:
    """Link each tensor of ours to its own name."""
    return [Link((name,), (name,)) for link in links for name in link.ours]


def _named(
    links: Sequence[Link], tensors: dict[str, Tensor], spill: Spill | None
) -> dict[str, Tensor]:
    """Convert tensors of ours to official names."""
    state: dict[str, Tensor] = {}
    for link in links:
        if all(name in tensors for name in link.ours):
            values = changed(link.to_official, [tensors[name] for name in link.ours], spill)
            state.update(zip(link.official, values, strict=True))
    return state


def _made(
    converter: Converter,
    model: nn.Module,
    official: dict[str, Tensor],
    averaged: bool,
    report: Report,
) -> dict[str, Tensor]:
    """Make the official tensors that ours do not have: those of averages if there are any, and not
    those of a part with a file of its own that is not among the ``official`` ones.
    """
    state: dict[str, Tensor] = {}
    without: tuple[str, ...] = ()
    if not any(name.startswith(converter.tokenizer) for name in official):
        without += converter.tokenizer
    if converter.averages and not averaged:
        without += (converter.averages,)
    for lost in converter.lost(model):
        fill = {name: x for name, x in lost.fill.items() if not name.startswith(without)}
        state |= fill
        report.add(lost.label, len(fill), f'filled in: {lost.why}')
    return state
