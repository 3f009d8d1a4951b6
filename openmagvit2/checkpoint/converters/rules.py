"""Two-way rules between tensors of ours and official ones.

A rule maps one name of ours to a :class:`Link`: which official tensors hold the same numbers, and
how to convert either way. All are a :class:`Convert`, of which :class:`Rename`, :func:`squeeze`,
:func:`permute`, :func:`join` and :func:`reshape` are short forms, or such ones :class:`Under` a
prefix. :class:`Lost` and :class:`Derived` describe official tensors that ours do not have.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openmagvit2.checkpoint.faults import unfit
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


class Convert(Rule):
    """Tensors of ours that two functions convert to official tensors and back.

    Args:
        ours, official: :class:`Pattern` each, in the order of the functions' tensors. There may be
            no official one.
        to_ours, to_official: The functions, of lists of tensors; inverse to each other bit for bit.
    """

    def __init__(
        self, ours: Sequence[str], official: Sequence[str], to_ours: Change, to_official: Change
    ) -> None:
        self.ours, self.official = [Pattern(x) for x in ours], [Pattern(x) for x in official]
        self.to_ours, self.to_official = to_ours, to_official

    def link(self, name: str) -> Link | None:
        """See :meth:`Rule.link`."""
        found = next((m for m in (p.match(name) for p in self.ours) if m is not None), None)
        if found is None:
            return None
        ours, official = (tuple(p.name(found) for p in s) for s in (self.ours, self.official))
        return Link(ours, official, self.to_ours, self.to_official)


class Rename(Convert):
    """The same tensor under another name.

    Args:
        ours, official: :class:`Pattern` each, as ``'head.norm.'`` and ``'transformer.norm.'``, or
            ``'blocks.{i}.wo.weight'`` and ``'layers.{i}.out.weight'``; one alone is both.
    """

    def __init__(self, ours: str, official: str | None = None) -> None:
        super().__init__([ours], [ours if official is None else official], keep, keep)


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


def _parts(x: Tensor, number: int, axis: int) -> list[Tensor]:
    """Split into copies: views would make a file store the whole tensor for each."""
    return [part.clone() for part in x.chunk(number, axis)]


class Lost(Rule):
    """Official tensors that ours do not keep; the report names them.

    Args:
        names: Pattern of official names, or a function that says whether a name is one.
        why: What they are, and the reason not to keep them.
        label: Name in the report; the pattern by default.
        fill: Tensors to write on the way back, by official name: where the official loader wants
            the names, and any value will do.
    """

    def __init__(
        self,
        names: str | Callable[[str], bool],
        why: str,
        label: str | None = None,
        fill: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.names, self.why, self.fill = names, why, fill or {}
        self.label = label or str(names).rstrip('.')

    def covers(self, name: str) -> bool:
        """Return whether an official tensor is one of these."""
        if callable(self.names):
            return self.names(name)
        return Pattern(self.names).match(name) is not None

    def check(self, name: str, found: object) -> None:
        """Raise UserError if a file has another value there than it must; here any will do."""


class Derived(Lost):
    """Official tensors that follow from the model: checked when read, computed when written.

    Args:
        tensors: By official name, as masks, tables of levels, wavelets. A file may lack them.
        what: Name in the report.
        written: Write them on the way back; False where only some layouts have them.
        tolerance: Largest difference of equal ones, where their last bits depend on the machine.
        otherwise: What a file with other values is.
    """

    def __init__(
        self,
        tensors: dict[str, Tensor],
        what: str,
        written: bool = True,
        tolerance: float | None = None,
        otherwise: str = 'belongs to another model',
    ) -> None:
        fill = tensors if written else {}
        super().__init__(tensors.__contains__, 'follows from the config', what, fill)
        self.tensors, self.tolerance, self.otherwise = tensors, tolerance, otherwise

    def check(self, name: str, found: object) -> None:
        """Check that a tensor of the file has the values that follow from the config."""
        own = self.tensors[name]
        # A table of another size is one of another model.
        fault = unfit(found, found if isinstance(found, Tensor) else own)
        if fault:
            raise UserError(f'The file is no file of this system: {name} is {fault}.')
        if not self._holds(own, found):
            raise UserError(
                f'{name} is not the {self.label} of this config: the file {self.otherwise}.'
            )

    def _holds(self, own: Tensor, found: object) -> bool:
        if not isinstance(found, Tensor) or unfit(found, own):
            return False
        if self.tolerance is None:
            return found.equal(own.to(found.dtype))
        # A file of half precision has the table in that.
        tolerance = max(self.tolerance, torch.finfo(found.dtype).eps)
        return torch.allclose(found.float(), own, rtol=0, atol=tolerance)


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
