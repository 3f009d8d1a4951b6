"""Rules that rename and convert tensors between our checkpoints and official files.

A rule maps one of our names to a :class:`Link`: the official tensors that hold the same numbers,
and how to convert them in both directions. :class:`Convert` is the general rule; :class:`Rename`,
:func:`squeeze`, :func:`permute`, :func:`join` and :func:`reshape` are short forms of it.
:class:`Under` and :class:`Adapt` change the links of other rules. :class:`Lost` and
:class:`Derived` describe tensors that are not converted.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

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
        to_ours: Converts the tensors of ``official`` to those of ``ours``, in order; the device may
            be 'meta'.
        to_official: The inverse, bit for bit.
    """

    ours: tuple[str, ...]
    official: tuple[str, ...]
    to_ours: Change = keep
    to_official: Change = keep


class Pattern:
    """A name, or a prefix if it ends with a dot; ``{i}`` matches any number."""

    def __init__(self, text: str) -> None:
        self.text = text + '{rest}' if text.endswith('.') else text
        escaped = re.sub(r'\\{(\w+)\\}', r'(?P<\1>[0-9]+)', re.escape(text))
        self.regex = re.compile(escaped + ('(?P<rest>.+)' if text.endswith('.') else ''))

    def match(self, name: str) -> dict[str, str] | None:
        """Return the numbers, and what follows a prefix; None if the name does not match."""
        found = self.regex.fullmatch(name)
        return found.groupdict() if found else None

    def name(self, found: dict[str, str]) -> str:
        """Return the name for what another pattern has matched."""
        return self.text.format(**found)


class Rule:
    """A way to find the official tensors for one of our tensors."""

    def link(self, name: str) -> Link | None:
        """Return the link with ``name`` among ours; None if the rule does not cover it."""
        return None


class Convert(Rule):
    """Tensors of ours that two functions convert to official tensors and back.

    Args:
        ours, official: A :class:`Pattern` for each tensor, in the order in which the functions take
            and return them. ``official`` may be empty.
        to_ours, to_official: Functions from a list of tensors to a list of tensors, inverse to each
            other bit for bit.
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
        ours, official = (tuple(p.name(found) for p in s) for s in (self.ours, self.official))
        return Link(ours, official, self.to_ours, self.to_official)


class Rename(Convert):
    """The same tensor under another name.

    Args:
        ours, official: A :class:`Pattern` each, such as ``'head.norm.'`` and
            ``'transformer.norm.'``, or ``'blocks.{i}.wo.weight'`` and ``'layers.{i}.out.weight'``.
            Without ``official``, the names are equal.
    """

    def __init__(self, ours: str, official: str | None = None) -> None:
        super().__init__([ours], [ours if official is None else official], keep, keep)


class Under(Rule):
    """Rules of a part whose names have a prefix, such as the tokenizer of a generator.

    Args:
        ours, official: Prefixes to put before the names of ``rules``.
        rules: Rules of the part.
    """

    def __init__(self, ours: str, official: str, rules: Sequence[Rule]) -> None:
        self.ours, self.official, self.rules = ours, official, rules

    def link(self, name: str) -> Link | None:
        if not name.startswith(self.ours):
            return None
        found = first_link(self.rules, name.removeprefix(self.ours))
        return found and replace(
            found,
            ours=tuple(self.ours + name for name in found.ours),
            official=tuple(self.official + name for name in found.official),
        )


class Adapt(Rule):
    """Other rules, with a function applied to each of their links.

    Args:
        rules: The rules.
        change: Returns the adapted link.
    """

    def __init__(self, rules: Sequence[Rule], change: Callable[[Link], Link]) -> None:
        self.rules, self.change = rules, change

    def link(self, name: str) -> Link | None:
        found = first_link(self.rules, name)
        return found and self.change(found)


def first_link(rules: Sequence[Rule], name: str) -> Link | None:
    """Return the link of the first rule that covers one of our names."""
    return next((link for link in (rule.link(name) for rule in rules) if link), None)


def reshape(
    ours: str,
    official: str,
    to_ours: Callable[[Tensor], Tensor],
    to_official: Callable[[Tensor], Tensor],
) -> Rule:
    """Return a rule for one tensor that two functions convert."""
    return Convert([ours], [official], lambda x: [to_ours(x[0])], lambda x: [to_official(x[0])])


def squeeze(ours: str, official: str, axes: Sequence[int] = (-1,)) -> Rule:
    """Return a rule for an official tensor with axes of length 1 that ours does not have.

    Args:
        ours, official: Patterns of the names.
        axes: Axes of the official tensor; -1 maps the weight of a 1x1 Conv2d to that of a Conv1d.
    """

    def unsqueeze(x: Tensor) -> Tensor:
        size = x.dim() + len(axes)
        for axis in sorted(axis % size for axis in axes):
            x = x.unsqueeze(axis)
        return x

    return reshape(ours, official, lambda x: x.squeeze(tuple(axes)), unsqueeze)


def permute(ours: str, official: str, axes: Sequence[int]) -> Rule:
    """Return a rule for permuted axes: axis i of ours is the official axis ``axes[i]``.

    For convolution kernels of flax, ``axes`` is (3, 2, 0, 1).
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
        official: Patterns of the names, in order.
        axis: Axis along which they are concatenated.
    """

    def split(x: list[Tensor]) -> list[Tensor]:
        # Copies: for views, a file would store the whole tensor each time.
        return [part.clone() for part in x[0].chunk(len(official), axis)]

    return Convert([ours], official, lambda x: [torch.cat(x, axis)], split)


def join_qkv(ours: str, official: str) -> list[Rule]:
    """Return rules that join ``query``, ``key`` and ``value`` to ``qkv``, weights and biases.

    Args:
        ours, official: Prefixes of these names.
    """
    names = ('query', 'key', 'value')
    return [
        join(f'{ours}qkv.{kind}', [f'{official}{name}.{kind}' for name in names])
        for kind in ('weight', 'bias')
    ]


class Lost(Rule):
    """Tensors, official or ours, that are not converted; the report names them.

    Args:
        names: Pattern of the names, a function that says whether a name is one, or a dict: official
            tensors by name, which are written on the way back because the official loader expects
            them.
        why: What they are, or the reason to drop them.
        label: Name in the report; the pattern by default.
    """

    fill: Mapping[str, Tensor] = {}

    def __init__(
        self,
        names: str | Callable[[str], bool] | Mapping[str, Tensor],
        why: str,
        label: str | None = None,
    ) -> None:
        self.why = why
        self.label = label or str(names).rstrip('.')
        if isinstance(names, str):
            pattern = Pattern(names)
            self.covers: Callable[[str], bool] = lambda name: pattern.match(name) is not None
        elif isinstance(names, Mapping):
            self.covers, self.fill = names.__contains__, names
        else:
            self.covers = names

    def check(self, name: str, found: object) -> None:
        """Raise UserError if a file has a wrong value for this name; here, any value is right."""


class Derived(Lost):
    """Official tensors that follow from the model: checked when read, computed when written.

    Args:
        tensors: By official name, such as masks, tables of levels and wavelets. A file may lack
            them.
        what: Name in the report.
        written: Whether to write them on the way back; False if only some layouts have them.
        tolerance: Maximum difference of values whose last bits depend on the machine.
        otherwise: What is true of a file with other values, for the error.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        what: str,
        written: bool = True,
        tolerance: float | None = None,
        otherwise: str = 'belongs to another model',
    ) -> None:
        super().__init__(tensors, 'follows from the config', what)
        self.tensors, self.tolerance, self.otherwise = tensors, tolerance, otherwise
        self.fill = tensors if written else {}

    def check(self, name: str, found: object) -> None:
        """Raise UserError if a tensor of the file differs from what follows from the config."""
        own = self.tensors[name]
        # The shape is compared below: a table of another size belongs to another model.
        fault = unfit(found, found if isinstance(found, Tensor) else own)
        if fault:
            raise UserError(f'The file does not belong to this system: {name} is {fault}.')
        if unfit(found, own) or not self._equal(found, own):
            raise UserError(
                f'{name} is not the {self.label} of this config: the file {self.otherwise}.'
            )

    def _equal(self, found: Tensor, own: Tensor) -> bool:
        if self.tolerance is None:
            return found.equal(own.to(found.dtype))
        # A file in half precision has its tables in half precision too.
        tolerance = max(self.tolerance, torch.finfo(found.dtype).eps)
        return torch.allclose(found.float(), own, rtol=0, atol=tolerance)
