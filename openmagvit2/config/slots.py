"""What each key of a config configures: a part in the ``slots`` of a class, or one of mmengine."""

import functools
from collections.abc import Iterator
from typing import Any

from openmagvit2 import registry
from openmagvit2.errors import UserError
from openmagvit2.protocols import Slotted
from openmagvit2.registry import Registry, Slot
from openmagvit2.signatures import accepted

HOOKS = Slot(registry.HOOKS, beside=dict(priority=None))
# Keys of mmengine's Runner, data loaders, data sets and visualizers, at any level; and our own.
MMENGINE: dict[str, Slot] = dict(
    model=Slot(registry.MODELS),
    data_preprocessor=Slot(registry.MODELS),
    dataset=Slot(registry.DATASETS),
    pipeline=Slot(registry.TRANSFORMS),
    sampler=Slot(registry.DATA_SAMPLERS),
    batch_sampler=Slot(registry.DATA_SAMPLERS),
    collate_fn=Slot(registry.FUNCTIONS),
    worker_init_fn=Slot(registry.FUNCTIONS),
    train_cfg=Slot(registry.LOOPS),
    val_cfg=Slot(registry.LOOPS),
    test_cfg=Slot(registry.LOOPS),
    val_evaluator=Slot(registry.METRICS),
    test_evaluator=Slot(registry.METRICS),
    default_hooks=HOOKS,
    custom_hooks=HOOKS,
    optimizer=Slot(registry.OPTIMIZERS),
    param_scheduler=Slot(registry.PARAM_SCHEDULERS, beside=dict(convert_to_iter_based=None)),
    model_wrapper_cfg=Slot(registry.MODEL_WRAPPERS),
    eval_rejection=Slot(registry.FEATURES, beside=dict(keep=None)),
    visualizer=Slot(registry.VISUALIZERS),
    vis_backends=Slot(registry.VISBACKENDS),
    log_processor=Slot(registry.LOG_PROCESSORS),
)

# Arguments that mmengine's Runner passes itself, by slot: a config cannot contain them.
GIVEN: dict[str, set[str]] = {
    registry.DATA_SAMPLERS.name: {'dataset', 'sampler'},
    registry.FUNCTIONS.name: {'data_batch', 'worker_id'},
    registry.LOOPS.name: {'runner', 'dataloader', 'evaluator'},
    registry.PARAM_SCHEDULERS.name: {'optimizer'},
    registry.MODEL_WRAPPERS.name: {'module'},
}


class Anything:
    """The place of a config that a class of another package builds by itself."""


# A place in a config contains parts of a slot (one, a list, or several by name), the arguments of a
# class without a `type`, Anything, or, for None, no dicts with a `type`.
Place = Slot | type | None


def walk(node: dict, path: str = '', place: Place = None) -> Iterator[tuple[str, dict, Place]]:
    """Yield (path, dict, place) of a dict and of all dicts in it, outer ones first.

    The path of a list element contains its position: ``'model.regularizers.0'``.

    Args:
        node: The dict.
        path, place: Its position in the config; by default, it is the whole config.
    """
    yield path, node, place
    for here, value, inner in entries(path, node, place):
        if isinstance(value, dict):
            yield from walk(value, here, inner)
        for i, item in enumerate(value if isinstance(value, (list, tuple)) else ()):
            if isinstance(item, dict):
                yield from walk(item, f'{here}.{i}', inner)


def entries(path: str, node: dict, place: Place) -> Iterator[tuple[str, Any, Place]]:
    """Yield (path, value, place) of each key of a dict; the arguments are those of :func:`walk`."""
    for key, value in node.items():
        yield f'{path}.{key}' if path else key, value, place_of(place, node, key)


def class_of(place: Place, node: dict) -> type | None:
    """Return the class that receives the keys of a dict as arguments; None if it is not known."""
    if isinstance(place, Slot):
        return place.registry.find(node.get('type'))
    return None if place is Anything else place


def place_of(place: Place, node: dict, key: str) -> Place:
    """Return the place below a key.

    Args:
        place: The place of the dict.
        node: The dict, or the known part of it.
        key: A key of the dict.
    """
    if isinstance(place, Slot) and node.get('type') is None:
        return place
    if isinstance(place, Slot):
        cls = place.registry.find(node['type'])
        if key in place.beside:
            return _place(place.beside[key])
        # Parts of our own slots, and classes that declare slots, build what they declare.
        slots = declared(cls)
        if slots is not None or place.registry.name in registry.SLOTS:
            return _place((slots or {}).get(key))
        return MMENGINE.get(key, Anything)
    if place is None or place is Anything:
        free = Anything if place is Anything or 'type' in node else None
        return MMENGINE.get(key, free)
    return _place((declared(place) or {}).get(key))


@functools.cache
def declared(cls: type | None) -> dict[str, Any] | None:
    """Return the slots that a class declares, or None if it declares none."""
    return cls.slots if isinstance(cls, Slotted) else None


def known_keys(place: Place, node: dict, path: str) -> set[str] | None:
    """Return the keys that a dict at a place may have, or None if it may have any.

    Raises:
        UserError: The ``type`` is not in the slot.
    """
    cls, kind = class_of(place, node), node.get('type')
    if not isinstance(place, Slot):
        return _arguments(cls) if cls else None
    if kind is None:
        return None
    if cls is None and not isinstance(kind, str):
        raise UserError(f'{path}.type must be the name of a class, got {kind!r}.')
    if cls is None:
        raise UserError(f'{path}: {place.registry.unknown(kind)}')
    given = GIVEN.get(place.registry.name, set())
    return (_arguments(cls) | {'type'} | set(place.beside)) - given


@functools.cache
def _arguments(cls: type) -> set[str]:
    """Return the arguments that a class accepts.

    `accepted` itself is not cached, because it is also called with methods, whose models the cache
    would keep alive.
    """
    return accepted(cls)


def _place(declared: 'Slot | Registry | type | None') -> Place:
    return Slot(declared) if isinstance(declared, Registry) else declared
