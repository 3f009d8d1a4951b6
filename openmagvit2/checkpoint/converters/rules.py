"""Two-way rules between tensors of ours and official ones.

A rule maps one name of ours to a :class:`Link`: which official tensors hold the same numbers, and
how to convert either way. :class:`Derived` and :class:`Lost` describe official tensors that ours do
not have.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openmagvit2.errors import UserError

Change = Callable[[list[Tensor]], list[Tensor]]


def keep(tensors: list[Tensor]) -> list[Tensor]:
    """Return the tensors unchanged."""
    return tensors


@dataclass(frozen=True)
class Link:
    """Tensors of ours and the official tensors that hold the same numbers.

    Attributes:
        ours, official: Their names.
        to_ours: Tensors of ``official``, in order, to those of ``ours``; the device may be 'meta'.
        to_official: The inverse, bit for bit.
    """

    ours: tuple[str, ...]
    official: tuple[str, ...]
    to_ours: Change = keep
    to_official: Change = keep


class Pattern:
    """A name, or a prefix if it ends with a dot; ``{i}`` matches any number."""

    def __init__(self, text: str) -> None:
        self.text, self.prefix = text, text.endswith('.')
        escaped = re.sub(r'\\{(\w+)\\}', r'(?P<\1>[0-9]+)', re.escape(text))
        self.regex = re.compile(escaped + ('(?P<rest>.+)' if self.prefix else ''))

    def match(self, name: str) -> dict[str, str] | None:
        """Return the numbers and what follows a prefix; None if the name does not match."""
        found = self.regex.fullmatch(name)
        return found.groupdict() if found else None

    def name(self, found: dict[str, str]) -> str:
        """Return the name for the numbers and the rest that another pattern has matched."""
        return self.text.format(**found) + (found.get('rest', '') if self.prefix else '')


class Rule:
    """A way to find the official tensors of a tensor of ours."""

    def link(self, name: str) -> Link | None:
        """Return the link with ``name`` among ours; None if the rule does not cover it."""
        return None


class Rename(Rule):
    """The same tensor under another name.

    Args:
        ours, official: :class:`Pattern` each, as ``'head.norm.'`` and ``'transformer.norm.'``, or
            ``'blocks.{i}.wo.weight'`` and ``'layers.{i}.out.weight'``.
    """

    def __init__(self, ours: str, official: str | None = None) -> None:
        self.ours, self.official = Pattern(ours), Pattern(ours if official is None else official)

    def link(self, name: str) -> Link | None:
        found = self.ours.match(name)
        return None if found is None else Link((name,), (self.official.name(found),))


class Under(Rule):
    """Rules of a part that has a prefix here, such as the tokenizer of a generator.

    Args:
        ours, official: Prefixes before the names that ``rules`` know.
        rules: Rules of the part.
    """

    def __init__(self, ours: str, official: str, rules: Sequence[Rule]) -> None:
        self.ours, self.official, self.rules = ours, official, rules

    def link(self, name: str) -> Link | None:
        if not name.startswith(self.ours):
            return None
        found = first_link(self.rules, name.removeprefix(self.ours))
        return found and Link(
            tuple(self.ours + name for name in found.ours),
            tuple(self.official + name for name in found.official),
            found.to_ours,
            found.to_official,
        )


class Convert(Rule):
    """Tensors of ours that two functions convert to official tensors and back.

    Args:
        ours, official: Patterns of the names, in the order of the functions' tensors.
        to_ours, to_official: The functions, of lists of tensors; inverse to each other bit for bit.
    """

    def __init__(
        self, ours: Sequence[str], official: Sequence[str], to_ours: Change, to_official: Change
    ) -> None:
        self.ours, self.official = [Pattern(x) for x in ours], [Pattern(x) for x in official]
        self.to_ours, self.to_official = to_ours, to_official

    def link(self, name: str) -> Link | None:
        found = next((m for m in (p.match(name) for p in self.ours) if m is not None), None)
        if found is None:
            return None
        ours, official = ([p.name(found) for p in side] for side in (self.ours, self.official))
        return Link(tuple(ours), tuple(official), self.to_ours, self.to_official)


def reshape(
    ours: str,
    official: str,
    to_ours: Callable[[Tensor], Tensor],
    to_official: Callable[[Tensor], Tensor],
) -> Rule:
    """Return a rule for one tensor that changes its shape."""
    return Convert([ours], [official], lambda x: [to_ours(x[0])], lambda x: [to_official(x[0])])


def squeeze(ours: str, official: str, axes: Sequence[int] = (-1,)) -> Rule:
    """Return a rule for official tensors with axes of one element that ours do not have.

    Args:
        ours, official: Patterns of the names.
        axes: Axes of the official tensor; -1 makes a 1x1 Conv2d of ours a Conv1d.
    """
    return reshape(ours, official, lambda x: x.squeeze(tuple(axes)), lambda x: _grown(x, axes))


def _grown(x: Tensor, axes: Sequence[int]) -> Tensor:
    size = x.dim() + len(axes)
    for axis in sorted(axis % size for axis in axes):
        x = x.unsqueeze(axis)
    return x


def permute(ours: str, official: str, axes: Sequence[int]) -> Rule:
    """Return a rule for permuted axes: axis i of ours is official axis ``axes[i]``.

    For kernels of flax, ``axes`` is (3, 2, 0, 1).
    """
    back = [list(axes).index(i) for i in range(len(axes))]
    return reshape(
        ours,
        official,
        lambda x: x.permute(tuple(axes)).contiguous(),
        lambda x: x.permute(back).contiguous(),
    )


def join(ours: str, official: Sequence[str], axis: int = 0) -> Rule:
    """Return a rule for one tensor of ours that is split into several official ones, as q, k, v.

    Args:
        ours: Pattern of the name.
        official: Patterns in order.
        axis: Axis along which they are concatenated.
    """
    return Convert(
        [ours],
        official,
        lambda x: [torch.cat(x, axis)],
        lambda x: _parts(x[0], len(official), axis),
    )


def join_qkv(ours: str, official: str) -> list[Rule]:
    """Return rules for weight and bias of ``qkv`` of ours, which officially are of ``query``,
    ``key`` and ``value``, behind a prefix each.
    """
    names = ('query', 'key', 'value')
    return [
        join(f'{ours}qkv.{kind}', [f'{official}{name}.{kind}' for name in names])
        for kind in ('weight', 'bias')
    ]


def split(ours: Sequence[str], official: str, axis: int = 0) -> Rule:
    """Return a rule for several tensors of ours in one official tensor; see :func:`join`."""
    return Convert(
        ours, [official], lambda x: _parts(x[0], len(ours), axis), lambda x: [torch.cat(x, axis)]
    )


def stack(ours: str, official: Sequence[str]) -> Rule:
    """Return a rule for official tensors that are the rows of one tensor of ours."""
    return Convert(
        [ours], official, lambda x: [torch.stack(x)], lambda x: [row.clone() for row in x[0]]
    )


def _parts(x: Tensor, number: int, axis: int) -> list[Tensor]:
    """Split into copies: views would make a file store the whole tensor for each."""
    return [part.clone() for part in x.chunk(number, axis)]


class Same(Rule):
    """One tensor of ours under several official names, with equal values.

    Args:
        ours: Pattern of the name.
        official: Patterns of the names.
    """

    def __init__(self, ours: str, official: Sequence[str]) -> None:
        self.ours, self.official = Pattern(ours), [Pattern(x) for x in official]

    def link(self, name: str) -> Link | None:
        found = self.ours.match(name)
        if found is None:
            return None
        names = tuple(p.name(found) for p in self.official)

        def one(tensors: list[Tensor]) -> list[Tensor]:
            """Return the first of equal tensors; raise UserError if one differs."""
            for other, tensor in zip(names, tensors, strict=True):
                if not tensor.equal(tensors[0]):
                    raise UserError(f'{other} differs from {names[0]}; the two must be equal.')
            return tensors[:1]

        return Link((name,), names, one, lambda tensors: tensors * len(names))


class Rows(Rule):
    """An official table with additional rows at its end, all zero.

    Args:
        ours, official: Patterns of the names.
        extra: Number of additional rows.
    """

    def __init__(self, ours: str, official: str, extra: int = 1) -> None:
        self.names, self.extra = Rename(ours, official), extra

    def link(self, name: str) -> Link | None:
        found = self.names.link(name)
        if found is None:
            return None

        def cut(tensors: list[Tensor]) -> list[Tensor]:
            """Remove the additional rows; raise UserError if they are not zero."""
            if not tensors[0].is_meta and tensors[0][-self.extra :].any():
                raise UserError(f'{found.official[0]}: the last {self.extra} rows must be zero.')
            return [tensors[0][: -self.extra]]

        def grown(tensors: list[Tensor]) -> list[Tensor]:
            """Append the additional rows."""
            x = tensors[0]
            return [torch.cat([x, x.new_zeros(self.extra, *x.shape[1:])])]

        return Link(found.ours, found.official, cut, grown)


class Chain(Rule):
    """Two rules, one after the other, for one tensor of ours.

    Args:
        first: From our name to one between.
        second: From that name to official ones.
    """

    def __init__(self, first: Rule, second: Rule) -> None:
        self.first, self.second = first, second

    def link(self, name: str) -> Link | None:
        a = self.first.link(name)
        b = a and self.second.link(a.official[0])
        if a is None or b is None:
            return None
        return Link(
            a.ours,
            b.official,
            lambda tensors: a.to_ours(b.to_ours(tensors)),
            lambda tensors: b.to_official(a.to_official(tensors)),
        )


class Derived(Rule):
    """Official tensors that follow from the model: checked when read, computed when written.

    Args:
        tensors: By official name, as masks, tables of levels, wavelets. A file may lack them.
        what: Name in the report.
        written: Write them on the way back; False where only some layouts have them.
        tolerance: Largest difference of equal ones, where their last bits depend on the machine.
    """

    def __init__(
        self,
        tensors: dict[str, Tensor],
        what: str,
        written: bool = True,
        tolerance: float | None = None,
    ) -> None:
        self.tensors, self.what, self.written = tensors, what, written
        self.tolerance = tolerance

    def holds(self, name: str, found: Tensor) -> bool:
        """Return whether a tensor of a file has the shape and the values of the model's."""
        own = self.tensors[name]
        if found.shape != own.shape:
            return False
        if self.tolerance is None:
            return found.equal(own.to(found.dtype))
        # A file of half precision has the table in that.
        tolerance = max(self.tolerance, torch.finfo(found.dtype).eps)
        return torch.allclose(found.float(), own, rtol=0, atol=tolerance)

    def check(self, name: str, found: Tensor) -> None:
        """Raise UserError if a file has other values."""
        if not self.holds(name, found):
            raise UserError(
                f'{name} is not the {self.what} of this config: the file belongs to another model.'
            )


class Lost(Rule):
    """Official tensors that ours do not keep; the report names them.

    Args:
        names: Patterns of official names, or a function that says whether a name is one.
        why: What they are, and the reason not to keep them.
        label: Name in the report; the first pattern by default.
        fill: Tensors to write on the way back, by official name: where the official loader wants
            the names, and any value will do.
        needed: The official loader refuses a file without them, so there is no way back.
    """

    def __init__(
        self,
        names: str | Callable[[str], bool],
        why: str,
        label: str | None = None,
        fill: dict[str, Tensor] | None = None,
        needed: bool = False,
    ) -> None:
        self.names, self.why, self.fill, self.needed = names, why, fill or {}, needed
        self.label = label or str(names).rstrip('.')

    def covers(self, name: str) -> bool:
        """Return whether an official tensor is one of these."""
        if callable(self.names):
            return self.names(name)
        return Pattern(self.names).match(name) is not None


# What trains a tokenizer, and the tokenizer of a generator, where official files have no place for
# them.
UNKEPT = (
    Lost('discriminator.', 'official files keep none'),
    Lost('lecam.', 'averages of LeCAM: official files keep none'),
)
NO_DISCRIMINATOR, NO_LECAM = UNKEPT
# A table of any system may be trained with restarts.
NO_RESTARTS = Lost(
    lambda name: name.endswith('.steps_unused'),
    'official files keep none',
    label='counts of restarts',
)
NO_TOKENIZER = Lost('tokenizer.', 'official files keep none', label='tokenizer')


def first_link(rules: Sequence[Rule], name: str) -> Link | None:
    """Return the link of the first rule that covers a name of ours."""
    return next((link for link in (rule.link(name) for rule in rules) if link), None)
