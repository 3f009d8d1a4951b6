"""What becomes of each tensor of a file that is converted: none is dropped silently."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from openmagvit2.checkpoint.converters import Converter
from openmagvit2.checkpoint.converters.rules import Change, Link
from openmagvit2.checkpoint.faults import wrong_numbers
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.errors import UserError

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


class Ledger:
    """The tensors of a file, each of which is taken, is dropped for a reason, or is an error.

    Args:
        converter: Knows the names of the system.
        model: What the config builds.
        state: All tensors of the file.
        spill: Takes the tensors that are computed; in memory by default.

    Attributes:
        left: Tensors of which nothing is decided yet.
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
        self.left = dict(state)
        self.report = Report()

    def absent(self, links: Sequence[Link]) -> tuple[str, ...]:
        """Return the optional parts of ours of which the file has no tensor."""
        found = {
            part
            for part in OPTIONAL
            for link in links
            if link.ours[0].startswith(part) and any(name in self.state for name in link.official)
        }
        return tuple(part for part in OPTIONAL if part not in found)

    def take(
        self, links: Sequence[Link], what: str, optional: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """Convert tensors that are left to ours.

        Args:
            links: Which tensors become which.
            what: Kind of the weights, for the report: 'raw' or 'averages'.
            optional: Beginnings of our names that the file may lack.

        Returns:
            Tensors by our names.

        Raises:
            UserError: One is missing or misshaped.
        """
        present = [
            link
            for link in links
            if not link.ours[0].startswith(optional)
            or any(name in self.left for name in link.official)
        ]
        self._check(present, what)
        taken: dict[str, Tensor] = {}
        for link in present:
            tensors = [self.left.pop(name) for name in link.official]
            taken.update(zip(link.ours, changed(link.to_ours, tensors, self.spill), strict=True))
        for group, count in _groups(taken, 'tokenizer.').items():
            self.report.add(group, count, f'taken, {what}')
        for part in optional:
            names = [name for link in links for name in link.ours if name.startswith(part)]
            if not any(name in taken for name in names):
                self.report.add(part.rstrip('.'), len(names), f'not in the file, {what}')
        return taken

    def _check(self, links: Sequence[Link], what: str) -> None:
        own, wrong = self.model.state_dict(), []
        for link in links:
            expected = link.to_official([own[name].detach().to('meta') for name in link.ours])
            for name, tensor in zip(link.official, expected, strict=True):
                fault = _fault(name, self.left.get(name), tensor)
                wrong += [fault] if fault else []
        if wrong:
            kind = 'raw weights' if what == 'raw' else what
            raise UserError(
                f'The file does not fit this config ({kind}): {_first(wrong, "; ")}. '
                f'{self.converter.advice(self.state)}'
            )

    def account(self) -> None:
        """Drop the tensors that are left, and report why.

        Raises:
            UserError: Some belong to a network, which the config does not have.
        """
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
        for group, count in _groups(self.left, 'loss.').items():
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


def changed(change: Change, tensors: list[Tensor], spill: Spill | None) -> list[Tensor]:
    """Apply one side of a link."""
    found = change(tensors)
    return found if spill is None else spill.keep(found, tensors)


def _groups(names: Iterable[str], deep: str) -> Counter[str]:
    """Count names by their first part, or by the first two if they begin with ``deep``."""
    return Counter('.'.join(n.split('.')[: 2 if n.startswith(deep) else 1]) for n in names)


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
