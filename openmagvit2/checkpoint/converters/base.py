"""The base class of converters, and the choice of the converter for a model and a file."""

import re
from typing import ClassVar

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.rules import Link, Lost, Rule, first_link
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError, few
from openmagvit2.registry import CONVERTERS

# Tensors of ours that official files do not have: of all systems, of those that set no
# `discriminator`, and of those whose `stage` is 'generator'.
NO_LECAM = Lost('lecam.', 'averages of LeCAM: official files have none')
NO_RESTARTS = Lost(
    lambda name: name.endswith('.steps_unused'),
    'official files have none',
    label='counts of restarts',
)
NO_DISCRIMINATOR = Lost('discriminator.', 'discriminators of this system are not converted')
NO_TOKENIZER = Lost('tokenizer.', 'has a file of its own', label='tokenizer')


class Converter:
    """Converts between the files of an official system and our checkpoints.

    A subclass defines :meth:`rules`, and :attr:`marks` or :meth:`detects`; the defaults of all
    others are right for a file with the state dict of one model. Published files are listed in the
    ``metafile.yml`` of their configs.

    Attributes:
        stage: 'tokenizer' or 'generator' if the system has files of one stage only.
        configs: Names of small configs; a shared test converts each in both directions.
        marks: Prefixes of names that files of this system have and ours never have.
        weights: Prefixes of names in networks: each such tensor must have a place in the model,
            others are reported and dropped.
        averages: Prefix of the names of averaged weights; None if files have none.
        discriminator: Prefix of the names of the discriminator; None if it is not converted.
        tokenizer: Prefixes of names in the tokenizer, if it has a file of its own.
        bare: Whether a file is the state dict itself, not a dict of entries.
        entries: Entries of a file that are state dicts, and what wrappers put before the names in
            each. The first is the model's; names in the others begin with ``beside.<entry>.`` here.
        nested: Dotted paths of the entries in which a trainer's own file keeps the state dicts of
            the parts, such as ``'trainer.net'``; they are joined.
    """

    stage: str | None = None
    configs: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    weights: tuple[str, ...] = ('',)
    averages: str | None = None
    discriminator: str | None = None
    tokenizer: tuple[str, ...] = ()
    bare: bool = False
    entries: ClassVar[dict[str, str]] = {'state_dict': ''}
    nested: tuple[str, ...] = ()

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether an official state dict is one of this system's."""
        return any(name.startswith(self.marks) for name in state)

    def rules(self, model: nn.Module) -> list[Rule]:
        """Return the rules for a model, which may be on the meta device; the first match wins.

        The model has the system's :attr:`stage` and no :meth:`misfit`.
        """
        raise NotImplementedError

    def misfit(self, model: nn.Module) -> str | None:
        """Return a part that the system lacks although its tensors might fit, or None."""
        return None

    def unified(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return an official state dict with the names of :meth:`rules`, if files of the system
        spell some names in several ways.
        """
        return state

    def unpublished(self, state: dict[str, Tensor]) -> str:
        """Return advice about a file of a kind that was not published; empty for all others."""
        return ''

    def average(self, official: str) -> str:
        """Return the name of the average of an official parameter; needs :attr:`averages`."""
        return f'{self.averages}{official}'

    def match(self, model: nn.Module) -> tuple[list[Link], list[str]]:
        """Return the links of a model, and what the official layout does not cover.

        The latter is the :meth:`misfit`, or the names of tensors without a rule.
        """
        stage = 'generator' if is_generator(model) else 'tokenizer'
        part = self.misfit(model) if self.stage in (None, stage) else stage
        if part:
            return [], [part]
        rules = self.rules(model)
        lost = self._lost(rules)
        links: list[Link] = []
        unmapped: list[str] = []
        placed: set[str] = set()
        for name in model.state_dict():
            if name in placed:
                continue
            if link := first_link(rules, name):
                links.append(link)
                placed.update(link.ours)
            elif not any(rule.covers(name) for rule in lost):
                unmapped.append(name)
        return links, unmapped

    def unmapped(self, model: nn.Module) -> list[str]:
        """Return what the official layout does not cover; see :meth:`match`."""
        return self.match(model)[1]

    def links(self, model: nn.Module) -> list[Link]:
        """Return all links of a model, in the order of its state dict.

        Raises:
            UserError: The official layout does not cover the model.
        """
        links, unmapped = self.match(model)
        if unmapped:
            raise UserError(
                f'The layout of {type(self).__name__} does not cover this model ({few(unmapped)}).'
            )
        return links

    def lost(self, model: nn.Module) -> list[Lost]:
        """Return the rules for tensors that are not converted."""
        return self._lost(self.rules(model))

    def _lost(self, rules: list[Rule]) -> list[Lost]:
        lost = [rule for rule in rules if isinstance(rule, Lost)]
        if self.discriminator is None:
            lost.append(NO_DISCRIMINATOR)
        if self.stage == 'generator':
            lost.append(NO_TOKENIZER)
        return [*lost, NO_LECAM, NO_RESTARTS]


class NoSystem(Converter):
    """Stands for the system of a model that no registered system covers."""

    def rules(self, model: nn.Module) -> list[Rule]:
        return []

    def links(self, model: nn.Module) -> list[Link]:
        """Raise UserError, which lists the systems with official files of this kind of model."""
        stage = 'generator' if is_generator(model) else 'tokenizer'
        names = [type(c).__name__ for c in converters() if c.stage in (None, stage)]
        raise UserError(
            f'No system has an official layout for this model. {stage.capitalize()}s of '
            f'{", ".join(names)} have one; --list shows their configs.'
        )


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
    """Return the converter of a model: one whose layout covers all of its tensors.

    Args:
        model: The model that the config builds.
        state: Tensors of an official file, if any: converters that detect it come first.
        name: Name of the class, if several systems have such a model.

    Returns:
        The first that fits both; if none does, the first that detects the file, or
        :class:`NoSystem`. Their errors say what is wrong.

    Raises:
        UserError: There is no converter called ``name``.
    """
    every = converters()
    if name is not None:
        every = [converter for converter in every if type(converter).__name__ == name]
        if not every:
            listed = ', '.join(CONVERTERS.names())
            raise UserError(f'There is no converter {name!r}; choose one of {listed}.')
    detected = [c for c in every if state is not None and c.detects(state)]
    fitting = (c for c in detected or every if not c.unmapped(model))
    rest = detected or (every if name is not None else [NoSystem()])
    return next(fitting, rest[0])


def other_class(slot: str, part: nn.Module, name: str, exact: bool = False) -> str | None:
    """Return a part as a :meth:`Converter.misfit` if it is of another class; None if it fits.

    Args:
        slot: What the part is, such as 'quantizer'.
        part: The part.
        name: Name of the class that it must have.
        exact: Whether a subclass is another class.
    """
    classes = [cls.__name__ for cls in type(part).__mro__]
    return None if name in (classes[:1] if exact else classes) else f'{slot} {classes[0]}'


def bit_values(bits: int) -> Tensor:
    """Return the powers of two of some bits, the highest first, int64 (bits,)."""
    return 2 ** torch.arange(bits - 1, -1, -1, device='cpu')


def count(state: dict[str, Tensor], pattern: str) -> int:
    """Return one more than the largest number that a pattern's group finds in the names."""
    numbers = (int(match[1]) for match in map(re.compile(pattern).match, state) if match)
    return 1 + max(numbers, default=-1)
