"""Strict conversion of official checkpoints to ours and back: no tensor is dropped silently."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from openmagvit2.checkpoint.converters import Converter, choose, is_official
from openmagvit2.checkpoint.converters.rules import Link
from openmagvit2.checkpoint.loading import TRAINING_ONLY
from openmagvit2.checkpoint.names import official_names
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.checkpoint.transfer import Misfit, Report, Transfer, changed
from openmagvit2.errors import UserError, few

NO_AVERAGES = 'The file has no averaged weights; convert it with --weights raw or both.'
# Prefixes of names that only our checkpoints have; names of encoders and decoders may be equal.
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
        model: The model that the config builds; on the meta device it needs no memory.
        weights: 'both' for raw weights as ``state_dict`` and averages as ``ema_state_dict``; 'raw'
            or 'ema' for one of them as ``state_dict``.
        converter: The system's converter; by default the one that fits the names and the model.
        spill: Stores computed tensors in a file; by default they stay in memory.

    Raises:
        UserError: A tensor is missing, misshaped or unexpected; or ``weights`` is 'ema' and there
            are no averages.
    """
    if is_ours(dict(state_dict=state), model):
        raise UserError('The file is already in our layout; convert it back with --to official.')
    converter = converter or choose(model, state)
    state = converter.unified(state)
    _check_system(converter, model, state)
    transfer = Transfer(converter, model, state, spill)
    links = converter.links(model)
    raw = transfer.take(links, 'raw')
    averaged: dict[str, Tensor] = {}
    if converter.averages and any(name.startswith(converter.averages) for name in state):
        # Only parts with raw weights get averages.
        averaged = transfer.take(_averages(links, model, converter, raw), 'averages')
    transfer.drop_remaining()
    if weights == 'ema' and not averaged:
        raise UserError(NO_AVERAGES)
    if converter.averages and not averaged and not is_generator(model):
        transfer.report.add('averages', 1, 'not in the file: raw weights only')
    # Buffers have no average.
    content = dict(state_dict=raw | averaged if weights == 'ema' else raw)
    if weights == 'both' and averaged:
        content['ema_state_dict'] = averaged
    return content, transfer.report


def to_official(
    checkpoint: dict,
    model: nn.Module,
    weights: str = 'both',
    converter: Converter | None = None,
    spill: Spill | None = None,
) -> tuple[dict, Report]:
    """Convert one of our checkpoints to ``dict(state_dict=…)`` with official names.

    The arguments and the errors are those of :func:`to_ours`.
    """
    state = checkpoint['state_dict']
    if is_official(state):
        raise UserError(
            'The file already has the official layout; convert it to ours without --to official.'
        )
    converter = converter or choose(model)
    links = converter.links(model)
    transfer = Transfer(converter, model, state)
    raw = transfer.take(_own(links), 'raw')
    transfer.drop_remaining()
    averaged: dict[str, Tensor] = {}
    if converter.averages and checkpoint.get('ema_state_dict') and not is_generator(model):
        # Our averages may include buffers; official ones do not.
        kept = _averages(links, model, converter, raw)
        transfer.remaining = dict(checkpoint['ema_state_dict'])
        averaged = transfer.take(_own(kept), 'averages')
    if weights == 'ema':
        if not averaged:
            raise UserError(NO_AVERAGES)
        raw, averaged = raw | averaged, {}
    both = bool(averaged) and weights == 'both'
    official = _named(links, raw, spill)
    official |= _made(converter, model, official, both, transfer.report)
    if both:
        official |= _named(_averages(links, model, converter, raw), averaged, spill)
    return dict(state_dict=official), transfer.report


def is_ours(checkpoint: dict, model: nn.Module) -> bool:
    """Return whether a checkpoint is one of ours, also if no single name shows it."""
    state = checkpoint['state_dict']
    if is_official(state):
        return False
    if 'ema_state_dict' in checkpoint or any(name.startswith(ONLY_OURS) for name in state):
        return True
    own = {name for name in model.state_dict() if not name.startswith(TRAINING_ONLY)}
    # Some official files have our names.
    return own <= state.keys() and not own <= official_names(choose(model, state), model)


def _check_system(converter: Converter, model: nn.Module, state: dict[str, Tensor]) -> None:
    """Raise Misfit if the file belongs to the converter's system and the model does not."""
    unmapped = converter.unmapped(model)
    if unmapped and converter.detects(state):
        problem = (
            f'The file has the layout of {type(converter).__name__}, which does not cover the '
            f'model of this config ({few(unmapped)}).'
        )
        raise Misfit(problem, converter, state)


def _averages(
    links: Sequence[Link], model: nn.Module, converter: Converter, raw: dict[str, Tensor]
) -> list[Link]:
    """Return links for the averages of the parameters in ``raw``; none for a generator."""
    if is_generator(model):
        return []
    parameters = {name for name, _ in model.named_parameters()}
    return [
        replace(link, official=tuple(map(converter.average, link.official)))
        for link in links
        if parameters.issuperset(link.ours) and raw.keys() >= set(link.ours)
    ]


def _own(links: Sequence[Link]) -> list[Link]:
    """Return links from each of our tensors to itself."""
    return [Link((name,), (name,)) for link in links for name in link.ours]


def _named(
    links: Sequence[Link], tensors: dict[str, Tensor], spill: Spill | None
) -> dict[str, Tensor]:
    """Convert our tensors to official ones, by name."""
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
    """Return official tensors that we do not keep, such as masks.

    Those of averages and of a separate tokenizer are included only with their other tensors.
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
