"""The contract of converters: how to detect a system's files, what is in them, and the rules."""

import re
from typing import ClassVar

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.rules import NO_RESTARTS, Link, Lost, Rule, first_link
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError
from openmagvit2.registry import CONVERTERS


class Converter:
    """Converts between the files of an official system and checkpoints of ours.

    A subclass defines :meth:`rules`. Published files are in the ``metafile.yml`` of their configs.

    Attributes:
        stage: 'tokenizer' or 'generator', where all files are of one.
        configs: Names of small configs; a shared test converts each there and back.
        marks: Beginnings of names that files of this system have and ours never.
        averages: Beginning of the names of averaged weights, None where files have none.
        weights: Beginnings of names of networks: each such tensor must have a place in the model,
            others are reported and dropped.
        training_only: Beginnings of official names of parts that only a training needs: dropped
            where the config or the file has no discriminator.
        separate: Parts with files of their own, which are written beside on the way back: name of
            the part to beginnings of official names.
        bare: A file is the state dict itself, not a dict that has it as ``state_dict``.
        container: Name of the state dict in a file that is not bare.
        nested: Where a training's own file keeps the state dicts of its parts, whose names differ:
            paths of entries, as ``'trainer.net'``. Together they are the state dict.
        beside: Names of entries beside the state dict that are state dicts of parts. Their
            tensors get the names ``beside.<entry>.<name>``.
        prefixes: What wrappers of the model put before the names of an entry's tensors, by entry;
            written on the way back.
    """

    stage: str | None = None
    configs: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    averages: str | None = None
    weights: tuple[str, ...] = ('',)
    training_only: tuple[str, ...] = ()
    separate: ClassVar[dict[str, tuple[str, ...]]] = {}
    bare: bool = False
    container: str = 'state_dict'
    nested: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    prefixes: ClassVar[dict[str, str]] = {}

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether an official state dict is one of this system's."""
        return any(name.startswith(self.marks) for name in state)

    def rules(self, model: nn.Module) -> list[Rule]:
        """Return the rules for a model, which may be on the meta device; the first match wins.

        It is of the system's :attr:`stage`, and has no :meth:`misfit`.
        """
        raise NotImplementedError

    def misfit(self, model: nn.Module) -> str | None:
        """Return a part of the model that the system cannot hold although its tensors might fit."""
        return None

    def unified(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return an official state dict by the names that :meth:`rules` give, where files of the
        system have several spellings of one name.
        """
        return state

    def unpublished(self, state: dict[str, Tensor]) -> str:
        """Return advice on a file of a kind that is not among the published ones; mostly empty."""
        return ''

    def average(self, official: str) -> str:
        """Return the name of the average of a parameter."""
        raise NotImplementedError

    def homeless(self, model: nn.Module) -> list[str]:
        """Return what the system has no place for: a part of another kind, or names of ours that no
        rule covers.
        """
        stage = 'generator' if is_generator(model) else 'tokenizer'
        part = self.misfit(model) if self.stage in (None, stage) else stage
        if part:
            return [part]
        rules, lost = self.rules(model), self.lost(model)
        return [
            name
            for name in model.state_dict()
            if first_link(rules, name) is None and not any(rule.covers(name) for rule in lost)
        ]

    def links(self, model: nn.Module) -> list[Link]:
        """Return all links of a model, in the order of its state dict.

        Raises:
            UserError: A tensor of the model has no place in the official layout.
        """
        homeless = self.homeless(model)
        if homeless:
            raise UserError(
                f'The official layout of {type(self).__name__} has no place for {homeless[0]} '
                f'({len(homeless)} such): the config is of no model of that system.'
            )
        rules, links, placed = self.rules(model), [], set()
        for name in model.state_dict():
            link = None if name in placed else first_link(rules, name)
            if link:
                links.append(link)
                placed.update(link.ours)
        return links

    def lost(self, model: nn.Module) -> list[Lost]:
        """Return the rules for official tensors that ours do not keep."""
        return [*(rule for rule in self.rules(model) if isinstance(rule, Lost)), NO_RESTARTS]


def converters() -> list[Converter]:
    """Return one instance of each registered class."""
    CONVERTERS.import_from_location()
    return [cls() for cls in CONVERTERS.module_dict.values()]


def is_official(state: dict[str, Tensor]) -> bool:
    """Return whether tensors have names that only official files have."""
    marks = tuple(mark for converter in converters() for mark in converter.marks)
    return any(name.startswith(marks) for name in state)


def choose(
    model: nn.Module, state: dict[str, Tensor] | None = None, name: str | None = None
) -> Converter:
    """Return the converter of a model: one whose system can hold all of its tensors.

    Args:
        model: What the config builds.
        state: Tensors of an official file, if any: converters that know its names come first.
        name: Name of the class, where several systems hold the same model.

    Returns:
        The first that fits both; the first that knows the file, or the first of all, where none
        does: its errors say what is wrong.

    Raises:
        UserError: There is no converter called ``name``.
    """
    every = converters()
    if name is not None:
        every = [converter for converter in every if type(converter).__name__ == name]
        if not every:
            listed = ', '.join(CONVERTERS.names())
            raise UserError(f'There is no converter {name!r}; choose one of {listed}.')
    known = [c for c in every if state is not None and c.detects(state)] or every
    return next((c for c in known if not c.homeless(model)), known[0])


def bit_values(bits: int) -> Tensor:
    """Return the powers of two of some bits, the highest first, int64 (bits,)."""
    return 2 ** torch.arange(bits - 1, -1, -1, device='cpu')


def count(state: dict[str, Tensor], pattern: str) -> int:
    """Return one more than the largest number that a pattern's group finds in the names."""
    numbers = (int(match[1]) for match in map(re.compile(pattern).match, state) if match)
    return 1 + max(numbers, default=-1)
