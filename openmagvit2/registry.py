"""All slots of the code base, one line each: the table of contents.

A part registers itself with ``@QUANTIZERS.register_module()``, and a config refers to it by
``type='ClassName'``. The slots of the paper are *root* registries, so building a head in the
quantizer slot fails; registries for what mmengine's Runner builds are children of mmengine's. A
slot imports its folder on first use, so no import is needed for its side effects, and ``import
openmagvit2.apis`` stays fast. A folder's ``__init__.py`` imports the modules of its classes; these
import slow packages (torchvision, timm, torch_fidelity) inside the functions that need them.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry as MMEngineRegistry

from openmagvit2.errors import UserError
from openmagvit2.signatures import accepted, whole_numbers
from openmagvit2.sizes import bounded

SCOPE = 'openmagvit2'


class Registry(MMEngineRegistry):
    """mmengine's registry with checked arguments, and errors that list all names, nearest first."""

    def build(self, cfg: dict, *args, **kwargs) -> Any:
        """Build ``cfg['type']`` with the other keys as keyword arguments.

        Args:
            cfg: A dict with a ``type``: a registered name, a dotted path, or a class.

        Raises:
            UserError: ``type`` is missing or not in this slot, an argument is missing or unknown,
                or the part is too large for this machine.
        """
        kind = cfg.get('type') if isinstance(cfg, dict) else None
        if kind is None and (isinstance(cfg, dict) or self.name in (*SLOTS, MODELS.name)):
            raise UserError(f'The {self.name} slot needs a dict with a `type`, got {cfg!r}.')
        part = self.get(kind) if isinstance(kind, str) else kind
        if part is None and kind is not None:
            raise UserError(self.unknown(kind))
        if not callable(part) and kind is not None:
            raise UserError(
                f'The {self.name} slot: type must be the name of a class, got {kind!r}.'
            )
        if not callable(part):
            return super().build(cfg, *args, **kwargs)
        what = f'`{_spelled(kind)}` in the {self.name} slot'
        if not (args or kwargs):
            _check_keys(what, part, cfg)
        # Names are always looked up here first; mmengine's default scope may not be set yet.
        cfg = dict(whole_numbers(part, cfg), _scope_=cfg.get('_scope_', SCOPE))
        with bounded(what, cfg):
            return super().build(cfg, *args, **kwargs)

    def get(self, key: str) -> Any:
        """Return the class for a name, or for a dotted path, which is imported; None otherwise.

        Classes of this package are looked up without mmengine, which would log a line for each of
        the hundreds of lookups for a config.
        """
        found = self.registered(key)
        # Checked here, because mmengine would try to import any word of a config.
        if found is None and '.' in key and all(map(str.isidentifier, key.split('.'))):
            found = super().get(key)
        return found if callable(found) else None

    def registered(self, name: Any) -> Any:
        """Return the class for a name, of this package or of mmengine; None if there is none.

        Nothing else is imported, because the name may be untrusted.
        """
        self.import_from_location()
        slot = self
        while slot is not None and isinstance(name, str):
            if name in slot.module_dict:
                return slot.module_dict[name]
            slot = slot.parent
        return None

    def find(self, kind: Any) -> Any:
        """Return the class for a ``type``, a name or a class; None if it is neither."""
        found = self.get(kind) if isinstance(kind, str) else kind
        return found if callable(found) else None

    def names(self) -> list[str]:
        """Return the names of all classes of the slot, sorted, with mmengine's last."""
        self.import_from_location()
        theirs = set(self.parent.module_dict) - set(self.module_dict) if self.parent else set()
        return [*sorted(self.module_dict), *sorted(theirs)]

    def unknown(self, kind: Any) -> str:
        """Return the error message for a ``type`` that is not in this slot."""
        names = self.names()
        near = difflib.get_close_matches(str(kind), names, n=max(len(names), 1), cutoff=0.5)
        listed = ', '.join(near + [name for name in names if name not in near]) or 'nothing'
        others = [slot.name for slot in SLOTS.values() if slot is not self and kind in slot.names()]
        elsewhere = f' `{kind}` is in the {others[0]} slot.' if others else ''
        return f'No `{kind}` in the {self.name} slot, which has: {listed}.{elsewhere}'


def _spelled(kind: Any) -> str:
    return kind if isinstance(kind, str) else kind.__name__


def _check_keys(what: str, part: Callable, cfg: dict) -> None:
    """Raise UserError if a config lacks an argument of a class, or has an unknown one."""
    missing = [name for name in _required(part) if name not in cfg]
    if missing:
        raise UserError(f'{what} needs {", ".join(missing)}: set it beside `type`.')
    unknown = sorted(_unknown(part, cfg))
    if unknown:
        raise UserError(
            f'{what} has no argument `{unknown[0]}`; it has {", ".join(sorted(accepted(part)))}.'
        )


def _unknown(part: Callable, cfg: dict) -> set[str]:
    """Return the keys of a config that a class or a function does not accept."""
    parameters = inspect.signature(part).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return set()
    return cfg.keys() - accepted(part) - {'type', '_scope_'}


def _required(part: Callable) -> list[str]:
    """Return the arguments of a class or a function without a default."""
    parameters = inspect.signature(part).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in named and p.default is p.empty]


@dataclass(frozen=True)
class Slot:
    """Declare that an argument of a class is a config of a part, a list of them, or a dict by name.

    A class declares ``slots = dict(encoder=ENCODERS, losses=Slot(LOSSES, …))``. A value is a
    registry, a ``Slot``, or, for a dict without a ``type``, the class whose arguments are its keys.

    Args:
        registry: Registry that builds the parts.
        beside: Keys that the containing class removes from a part's config before building it,
            each with its own slot, or None if its value is not a config.
    """

    registry: Registry
    beside: 'Mapping[str, Slot | Registry | type | None]' = field(default_factory=dict)


SLOTS: dict[str, Registry] = {}


def _slot(name: str, folder: str) -> Registry:
    SLOTS[name] = Registry(name, scope=SCOPE, locations=[f'openmagvit2.{folder}'])
    return SLOTS[name]


def _child(name: str, *folders: str) -> Registry:
    parent = getattr(mmengine_registry, name)
    return Registry(
        parent.name,
        parent=parent,
        scope=SCOPE,
        locations=[f'openmagvit2.{folder}' for folder in folders],
    )


# ---- the slots of the paper ----------------------------------------------------------------------
# image -> z
ENCODERS = _slot('encoder', 'models.encoders')
# z -> codes, indices, losses
QUANTIZERS = _slot('quantizer', 'models.quantizers')
# codes -> image
DECODERS = _slot('decoder', 'models.decoders')
# image -> patch logits
DISCRIMINATORS = _slot('discriminator', 'models.discriminators')
# reconstruction losses, adversarial training with its regularizers, and weight schedules
LOSSES = _slot('loss', 'models.losses')
# indices <-> sub-indices
FACTORIZATIONS = _slot('factorization', 'models.factorization')
# label, text … -> prefix and pooled vector
CONDITIONERS = _slot('conditioner', 'models.conditioners')
# the order of tokens, and which ones are predicted in parallel
ORDERS = _slot('order', 'models.orders')
# token embeddings -> context
BACKBONES = _slot('backbone', 'models.backbones')
# context -> sub-token logits
HEADS = _slot('head', 'models.heads')
# logits -> sampled sub-tokens
SAMPLERS = _slot('sampler', 'models.samplers')
# images -> features, for distribution metrics
FEATURES = _slot('features', 'evaluation.features')
# official files <-> ours
CONVERTERS = _slot('converter', 'checkpoint.converters')

# ---- what mmengine's Runner builds ---------------------------------------------------------------
# whole models: tokenizers and generators
MODELS = _child('MODELS', 'models.tokenizers', 'models.generators')
# images and labels
DATASETS = _child('DATASETS', 'datasets')
# order of samples
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'engine.samplers')
# per-sample image operations
TRANSFORMS = _child('TRANSFORMS', 'datasets')
# evaluators: composed by mmengine's Evaluator
METRICS = _child('METRICS', 'evaluation.metrics')
# what happens around iterations: weight averages, checkpoints, image grids
HOOKS = _child('HOOKS', 'engine.hooks', 'visualization.hooks')
# training and validation loops
LOOPS = _child('LOOPS', 'engine.loops', 'engine.validation_loop', 'engine.generation_loop')
# optimizer step: autocast, accumulation, clipping
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine.optim')
# one optimizer for each role of a model
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', 'engine.optim')
# learning-rate schedules
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'engine.optim')
# data-parallel wrappers
MODEL_WRAPPERS = _child('MODEL_WRAPPERS', 'engine.parallel')
# children without classes of our own, declared so that mmengine finds its own without a warning
OPTIMIZERS = _child('OPTIMIZERS')
VISUALIZERS = _child('VISUALIZERS')
VISBACKENDS = _child('VISBACKENDS')
LOG_PROCESSORS = _child('LOG_PROCESSORS')
EVALUATOR = _child('EVALUATOR')
FUNCTIONS = _child('FUNCTIONS')
RUNNERS = _child('RUNNERS')
