"""Read pickles of other programs without executing anything in them."""

import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from openmagvit2.checkpoint.reader_errors import reader_errors, unsafe
from openmagvit2.errors import UserError

# Names in files of trainers that belong to settings, callbacks and states of random generators, not
# to weights. They are replaced by classes that do nothing.
HARMLESS = (
    # Pickles of protocol 2 write bytes with it.
    '_codecs.encode',
    'argparse.Namespace',
    'builtins.bool',
    'builtins.bytes',
    'builtins.dict',
    'builtins.float',
    'builtins.int',
    'builtins.list',
    'builtins.str',
    'builtins.tuple',
    'collections.defaultdict',
    'lightning.fabric.utilities.data.AttributeDict',
    'lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint',
    'lightning_fabric.utilities.data.AttributeDict',
    'numpy._core.multiarray._reconstruct',
    'numpy._core.multiarray.scalar',
    'numpy.core.multiarray._reconstruct',
    'numpy.core.multiarray.scalar',
    'numpy.dtype',
    'numpy.ndarray',
    'omegaconf.base.ContainerMetadata',
    'omegaconf.base.Metadata',
    'omegaconf.dictconfig.DictConfig',
    'omegaconf.listconfig.ListConfig',
    'omegaconf.nodes.AnyNode',
    'pathlib.PosixPath',
    'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
    'pytorch_lightning.utilities.parsing.AttributeDict',
    'typing.Any',
)
# torch's messages about a class or function that it does not allow.
REFUSED = re.compile(
    r'(?:GLOBAL|global) `?([\w.]+)`? was not an allowed'
    r'|Trying to (?:load|call) unsupported GLOBAL ([\w.]+)'
)


class _Inert:
    """Replacement for a class; accepts any arguments and any state, and keeps nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _InertDict:
    """Replacement for a subclass of dict; torch's unpickler fills plain and ordered dicts only."""

    NAMES = ('AttributeDict', 'defaultdict')

    def __new__(cls, *args: Any, **kwargs: Any) -> OrderedDict:
        return OrderedDict()


def _stand_in(name: str) -> type:
    module, _, cls = name.rpartition('.')
    return type(
        cls,
        (_InertDict if cls in _InertDict.NAMES else _Inert,),
        dict(__module__=module, __qualname__=cls),
    )


STAND_INS = [_stand_in(name) for name in HARMLESS]


@contextmanager
def _allowed(classes: list[type]) -> Iterator[None]:
    """Allow classes with ``weights_only``; torch 2.4 has no context manager for this."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(classes)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def read_pickle(path: Path) -> Any:
    """Read tensors and plain values from a file of ``torch.save``.

    Tensors of a zip file are mapped, not read, so only those that are used need memory.

    Raises:
        UserError: The file is damaged, or needs a class or function that is not allowed; the
            message names it.
    """
    with reader_errors(path, 'file of torch.save'):
        archive = zipfile.is_zipfile(path)
        if archive:
            with zipfile.ZipFile(path) as parts:
                check_stored(parts)
        try:
            with _allowed(STAND_INS), warnings.catch_warnings():
                warnings.simplefilter('ignore')  # about pickle protocols that torch then refuses
                return torch.load(path, 'cpu', weights_only=True, mmap=archive)
        except Exception as error:
            if wanted := _wanted(path, str(error)):
                raise UserError(unsafe(wanted)) from error
            raise


def _wanted(path: Path, text: str) -> str:
    """Return the classes and functions that torch's error ``text`` is about; may be empty."""
    if found := REFUSED.search(text):
        return found[1] or found[2]
    return _named(path) if 'Unsupported operand' in text else ''


def check_stored(archive: zipfile.ZipFile) -> None:
    """Raise UserError if an entry of a zip file is compressed, which torch.save never does.

    A compressed file of some kilobytes could unpack to more than the memory.
    """
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise UserError(
                f'{entry.filename} in it is compressed, which torch.save never does; save it again'
            )


def _named(path: Path) -> str:
    """Return the classes and functions in a pickle of protocol 4 or 5, without executing it.

    torch refuses such a pickle before it looks at them.
    """
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                parts = [name for name in archive.namelist() if name.endswith('data.pkl')]
                data = archive.read(parts[0]) if parts else b''
        except zipfile.BadZipFile:
            return ''
    else:
        with open(path, 'rb') as file:
            data = file.read(1 << 20)
    names, strings, memo = set(), [], []
    try:
        for operation, argument, _ in pickletools.genops(data):
            if operation.name == 'STACK_GLOBAL':
                names.add('.'.join(strings[-2:]))
            elif operation.name in ('GLOBAL', 'INST'):
                names.add(str(argument).replace(' ', '.'))
            elif operation.name == 'MEMOIZE':
                memo.append(strings[-1] if strings else '')
            elif operation.name in ('BINGET', 'LONG_BINGET') and argument < len(memo):
                strings.append(memo[argument])
            elif isinstance(argument, str):
                strings.append(argument)
    except ValueError:
        pass  # truncated
    return ', '.join(
        sorted(
            name
            for name in names
            if not name.startswith(('torch.', 'collections.')) and name not in HARMLESS
        )
    )
