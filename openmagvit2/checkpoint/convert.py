"""Strict conversion of official checkpoints to ours and back: no tensor is dropped silently."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from openmagvit2.checkpoint.converters import Converter, choose, is_official
from openmagvit2.checkpoint.converters.rules import Change, Link
from openmagvit2.checkpoint.faults import wrong_numbers
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError

# Prefixes of names that occur only in checkpoints of ours; encoders and decoders have the same
# names in both.
ONLY_OURS = ('discriminator.', 'lecam.', 'backbone.', 'head.', 'class_embedding.', 'tokenizer.')
# Parts that a file may lack as a whole.
OPTIONAL = ('discriminator.', 'tokenizer.')


@dataclass
class Report:
    """The tensors of a file and what was done with them: (group, number, action)."""

    rows: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, group: str, count: int, action: str) -> None:
        """Add a row; empty groups have none."""
        if count:
            self.rows.append((group, count, action))

    def __str__(self) -> str:
        width = max((len(group) for group, _, _ in self.rows), default=0)
        return '\n'.join(
            f'{group:<{width}}  {count:>5}  {action}' for group, count, action in self.rows
        )


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
    if is_ours(dict(state_dict=state)):
        raise UserError(
            'The file is a checkpoint of ours already; --to official goes the other way.'
        )
    converter = converter or choose(model, state)
    state = converter.unified(state)
    work = _Work(converter, model, dict(state), state, spill)
    links = converter.links(model)
    raw = work.take(links, 'raw', work.absent(links))
    averaged: dict[str, Tensor] = {}
    if converter.averages and any(name.startswith(converter.averages) for name in state):
        # Averages are taken only of parts with raw weights.
        averaged = work.take(_averages(links, model, converter, raw), 'averages', OPTIONAL[:1])
    work.account()
    generator = is_generator(model)
    if weights == 'ema' and not averaged:
        raise UserError(
            'The file has no averaged weights (model_ema.*): convert it with --weights raw or both.'
        )
    if converter.averages and not averaged and not generator:
        work.report.add('averages', 1, 'not in the file: raw weights only')
    if weights == 'both':
        content = dict(state_dict=raw)
        return (content | dict(ema_state_dict=averaged) if averaged else content), work.report
    # Buffers have no average.
    return dict(state_dict=raw if weights == 'raw' else raw | averaged), work.report


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
        UserError: As :func:`to_ours`, or the official loader wants tensors that ours does not keep.
    """
    state = checkpoint['state_dict']
    if is_official(state):
        raise UserError(
            'The file is an official one already; without --to official it becomes ours.'
        )
    converter = converter or choose(model)
    needed = [rule for rule in converter.lost(model) if rule.needed]
    if needed:
        raise UserError(
            f'The official loader refuses a file without {needed[0].label} ({needed[0].why}), '
            f'which a checkpoint of ours does not keep: there is no way back.'
        )
    links = converter.links(model)
    work = _Work(converter, model, dict(state), state)
    raw = work.take(_own(links), 'raw', work.absent(_own(links)))
    work.account()
    averaged: dict[str, Tensor] = {}
    if converter.averages and checkpoint.get('ema_state_dict') and not is_generator(model):
        # The averages of a part may have buffers; official ones do not.
        kept = _averages(links, model, converter, raw)
        work.left = dict(checkpoint['ema_state_dict'])
        averaged = work.take(_own(kept), 'averages', OPTIONAL[:1])
    if weights == 'ema':
        if not averaged:
            raise UserError(
                'The file has no averaged weights (ema_state_dict): convert it with --weights '
                'raw or both.'
            )
        raw, averaged = raw | averaged, {}
    both = bool(averaged) and weights == 'both'
    official = _named(links, raw, spill) | _made(converter, model, both, work.report)
    if both:
        official |= converter.average_settings()
        official |= _named(_averages(links, model, converter, raw), averaged, spill)
    return dict(state_dict=official), work.report


def is_ours(checkpoint: dict) -> bool:
    """Return whether a checkpoint has names that only ours have."""
    state = checkpoint['state_dict']
    if is_official(state):
        return False
    return 'ema_state_dict' in checkpoint or any(name.startswith(ONLY_OURS) for name in state)


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


def _changed(change: Change, tensors: list[Tensor], spill: Spill | None) -> list[Tensor]:
    """Apply one side of a link."""
    found = change(tensors)
    return found if spill is None else spill.keep(found, tensors)


def _named(
    links: Sequence[Link], tensors: dict[str, Tensor], spill: Spill | None
) -> dict[str, Tensor]:
    """Convert tensors of ours to official names."""
    state: dict[str, Tensor] = {}
    for link in links:
        if all(name in tensors for name in link.ours):
            values = _changed(link.to_official, [tensors[name] for name in link.ours], spill)
            state.update(zip(link.official, values, strict=True))
    return state


def _made(
    converter: Converter, model: nn.Module, averaged: bool, report: Report
) -> dict[str, Tensor]:
    """Make the official tensors that ours do not have, those of averages if there are any."""
    state: dict[str, Tensor] = {}
    for rule in (rule for rule in converter.derived(model) if rule.written):
        state |= rule.tensors
        report.add(rule.what, len(rule.tensors), 'made anew: follows from the config')
    for lost in converter.lost(model):
        without = () if averaged else converter.averages or ()
        fill = {name: x for name, x in lost.fill.items() if not name.startswith(without)}
        state |= fill
        report.add(lost.label, len(fill), f'filled in: {lost.why}')
    return state


@dataclass
class _Work:
    """Moves the tensors of a file to where they belong.

    Attributes:
        left: Tensors without a place so far.
        state: All tensors of the file.
        spill: See :func:`to_ours`.
    """

    converter: Converter
    model: nn.Module
    left: dict[str, Tensor]
    state: dict[str, Tensor]
    spill: Spill | None = None
    report: Report = field(default_factory=Report)

    def absent(self, links: Sequence[Link]) -> tuple[str, ...]:
        """Return the optional parts of ours of which the file has no tensor."""
        found = {
            part
            for part in OPTIONAL
            for link in links
            if link.ours[0].startswith(part) and any(name in self.state for name in link.official)
        }
        return tuple(part for part in OPTIONAL if part not in found)

    def take(self, links: Sequence[Link], what: str, optional: tuple[str, ...]) -> dict:
        """Move tensors from :attr:`left` to our names; raise if one is missing or misshaped."""
        own, taken, wrong = self.model.state_dict(), {}, []
        for link in links:
            absent = not any(name in self.left for name in link.official)
            if absent and link.ours[0].startswith(optional):
                continue
            expected = link.to_official([_meta(own[name]) for name in link.ours])
            tensors = [self.left.pop(name, None) for name in link.official]
            found = [_fault(*x) for x in zip(link.official, tensors, expected, strict=True)]
            wrong += [fault for fault in found if fault]
            if not any(found):
                changed = _changed(link.to_ours, tensors, self.spill)
                taken.update(zip(link.ours, changed, strict=True))
        if wrong:
            raise UserError(
                f'The file does not fit this config ({what} weights): '
                f'{_first(wrong, "; ")}. {self.converter.advice(self.state)}'
            )
        groups = Counter(
            '.'.join(name.split('.')[: 2 if name.startswith('tokenizer.') else 1]) for name in taken
        )
        for group, count in groups.items():
            self.report.add(group, count, f'taken, {what}')
        for part in optional:
            names = [name for link in links for name in link.ours if name.startswith(part)]
            if names and not any(name in taken for name in names):
                self.report.add(part.rstrip('.'), len(names), f'not in the file, {what}')
        return taken

    def account(self) -> None:
        """Report the remaining tensors; raise if they belong to a network."""
        self._drop_derived()
        for lost in self.converter.lost(self.model):
            self._drop(lost.label, [n for n in self.left if lost.covers(n)], f'dropped: {lost.why}')
        self._drop_training()
        foreign = [name for name in self.left if name.startswith(self.converter.weights)]
        if foreign:
            raise UserError(
                f'The file has tensors that this config does not: {_first(foreign, ", ")}. '
                f'{self.converter.advice(self.state)}'
            )
        unknown = Counter(
            '.'.join(name.split('.')[: 2 if name.startswith('loss.') else 1]) for name in self.left
        )
        for group, count in unknown.items():
            self.report.add(group, count, 'dropped: not part of the model')

    def _drop_derived(self) -> None:
        """Check and drop what follows from the config."""
        for rule in self.converter.derived(self.model):
            names = [name for name in self.left if name in rule.tensors]
            for name in names:
                fault = _fault(name, self.left[name], self.left[name])
                if fault:
                    raise UserError(f'The file is no file of this system: {fault}.')
                rule.check(name, self.left[name])
            self._drop(rule.what, names, 'dropped: follows from the config')

    def _drop_training(self) -> None:
        """Drop the discriminator, with its averages, where the config or the file has none."""
        configured = 'discriminator' in dict(self.model.named_children())
        only, averages = self.converter.training_only, self.converter.averages or ()
        raw = [name for name in self.state if not name.startswith(averages)]
        if configured and any(name.startswith(only) for name in raw):
            return
        why = f'dropped: {"the file" if configured else "the config"} has no discriminator'
        for prefix in only:
            self._drop(prefix, [name for name in self.left if name.startswith(prefix)], why)

    def _drop(self, group: str, names: Sequence[str], action: str) -> None:
        self.report.add(group.rstrip('.'), len(names), action)
        for name in names:
            del self.left[name]


def _meta(tensor: Tensor) -> Tensor:
    return tensor.detach().to('meta')


def _fault(name: str, tensor: object, expected: Tensor) -> str | None:
    """Return what is wrong with a tensor of a file, or None."""
    if tensor is None:
        return f'{name} is missing'
    if not isinstance(tensor, Tensor):
        return f'{name} is a {type(tensor).__name__} instead of a tensor'
    if tensor.shape != expected.shape:
        return f'{name} is {tuple(tensor.shape)} instead of {tuple(expected.shape)}'
    wrong = wrong_numbers(tensor, expected)
    return f'{name} is {wrong}' if wrong else None


def _first(items: Sequence[str], separator: str) -> str:
    more = f' and {len(items) - 3} more' if len(items) > 3 else ''
    return separator.join(items[:3]) + more
