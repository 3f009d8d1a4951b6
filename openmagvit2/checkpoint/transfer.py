"""Transfer the tensors of a file to new names: none is dropped silently."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from openmagvit2.checkpoint.converters import Converter
from openmagvit2.checkpoint.converters.rules import Change, Link
from openmagvit2.checkpoint.faults import unfit
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.errors import UserError, few

# Parts that a file may lack as a whole.
OPTIONAL = ('discriminator.', 'tokenizer.')


@dataclass
class Report:
    """Groups of tensors and what was done with them: rows of (group, number, action)."""

    rows: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, group: str, count: int, action: str) -> None:
        """Add a row for a group that is not empty."""
        if count:
            self.rows.append((group, count, action))

    def __str__(self) -> str:
        width = max((len(group) for group, _, _ in self.rows), default=0)
        return '\n'.join(
            f'{group:<{width}}  {count:>5}  {action}' for group, count, action in self.rows
        )


class Misfit(UserError):
    """A file that belongs to another config.

    Args:
        problem: A sentence that says what does not fit.
        converter: The converter that was chosen for the file.
        state: All tensors of the file.
    """

    def __init__(self, problem: str, converter: Converter, state: dict[str, Tensor]) -> None:
        super().__init__(
            f'{problem} Give the config that belongs to it; --list shows the configs of the '
            f'official files.'
        )
        self.problem, self.converter, self.state = problem, converter, state


class Transfer:
    """The tensors of a file on their way: each is converted, dropped for a reason, or an error.

    Args:
        converter: Converter of the system.
        model: The model that the config builds.
        state: All tensors of the file.
        spill: Stores computed tensors in a file; by default they stay in memory.

    Attributes:
        remaining: Tensors that are neither converted nor dropped yet.
        report: What was done so far.
    """

    def __init__(
        self,
        converter: Converter,
        model: nn.Module,
        state: dict[str, Tensor],
        spill: Spill | None = None,
    ) -> None:
        self.converter, self.model, self.state, self.spill = converter, model, state, spill
        self.remaining = dict(state)
        self.report = Report()

    def take(self, links: Sequence[Link], what: str) -> dict[str, Tensor]:
        """Convert tensors and return them by our names.

        Args:
            links: Links of all tensors of the model; those of optional parts may be missing.
            what: Kind of the weights, for the report: 'raw' or 'averages'.

        Raises:
            UserError: A tensor is missing or misshaped.
        """
        found = [link for link in links if any(name in self.remaining for name in link.official)]
        absent = tuple(p for p in OPTIONAL if not any(link.ours[0].startswith(p) for link in found))
        present = [link for link in links if not link.ours[0].startswith(absent)]
        self._check(present, what)
        taken: dict[str, Tensor] = {}
        for link in present:
            tensors = [self.remaining.pop(name) for name in link.official]
            taken.update(zip(link.ours, changed(link.to_ours, tensors, self.spill), strict=True))
        for group, count in _groups(taken).items():
            self.report.add(group, count, f'taken, {what}')
        for part in absent:
            count = sum(name.startswith(part) for link in links for name in link.ours)
            self.report.add(part.rstrip('.'), count, f'not in the file, {what}')
        return taken

    def _check(self, links: Sequence[Link], what: str) -> None:
        own, wrong = self.model.state_dict(), []
        for link in links:
            expected = link.to_official([own[name].detach().to('meta') for name in link.ours])
            for name, tensor in zip(link.official, expected, strict=True):
                missing = name not in self.remaining
                fault = 'missing' if missing else unfit(self.remaining[name], tensor)
                wrong += [f'{name} is {fault}'] if fault else []
        if wrong:
            kind = 'raw weights' if what == 'raw' else what
            problem = f'The file does not fit this config ({kind}): {few(wrong)}.'
            raise Misfit(problem, self.converter, self.state)

    def drop_remaining(self) -> None:
        """Drop all other tensors and report why.

        Raises:
            UserError: A network in the file has tensors that the config does not have.
        """
        for lost in self.converter.lost(self.model):
            names = [name for name in self.remaining if lost.covers(name)]
            for name in names:
                lost.check(name, self.remaining[name])
            self._drop(lost.label, names, lost.why)
        self._drop_discriminator()
        foreign = [name for name in self.remaining if name.startswith(self.converter.weights)]
        if foreign:
            problem = f'The file has tensors that this config does not: {few(foreign)}.'
            raise Misfit(problem, self.converter, self.state)
        for group, count in _groups(self.remaining).items():
            self.report.add(group, count, 'not read: the model has no part of this name')

    def _drop_discriminator(self) -> None:
        """Drop a discriminator and its averages if the config or the file has no discriminator."""
        official = self.converter.discriminator
        if official is None:
            return
        prefixes = ['discriminator.', official]
        configured = 'discriminator' in dict(self.model.named_children())
        if configured and any(name.startswith(tuple(prefixes)) for name in self.state):
            return
        if self.converter.averages:
            prefixes.append(self.converter.average(official))
        why = f'{"the file" if configured else "the config"} has no discriminator'
        for prefix in prefixes:
            self._drop(prefix, [name for name in self.remaining if name.startswith(prefix)], why)

    def _drop(self, group: str, names: Sequence[str], why: str) -> None:
        self.report.add(group.rstrip('.'), len(names), f'dropped: {why}')
        for name in names:
            del self.remaining[name]


def changed(change: Change, tensors: list[Tensor], spill: Spill | None) -> list[Tensor]:
    """Convert tensors with one function of a link; store computed ones in ``spill``."""
    found = change(tensors)
    return found if spill is None else spill.keep(found, tensors)


def _groups(names: Iterable[str]) -> Counter[str]:
    """Count names by their first part, by the first two in our tokenizers and official losses."""
    deep = ('tokenizer.', 'loss.')
    return Counter('.'.join(n.split('.')[: 2 if n.startswith(deep) else 1]) for n in names)
