"""What the tools share: the terminal, exit codes, and arguments of the command line."""

import argparse
import contextlib
import functools
import itertools
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from openmagvit2.errors import TrainingStopped, UserError
from openmagvit2.sizes import enough_memory


def _device(name: str) -> str:
    if name == 'meta':
        raise argparse.ArgumentTypeError('a device without memory computes nothing')
    return name


def count(text: str) -> int:
    """Return the whole number from 1 of an argument: ``parser.add_argument(…, type=count)``."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number from 1')
    return int(text)


# Arguments that several tools have, as ``parser.add_argument('--device', **DEVICE)``.
DEVICE: dict[str, Any] = dict(
    type=_device, help='as cuda:1, mps, cpu; default: the accelerator, where there is one'
)
LAUNCHER: dict[str, Any] = dict(choices=['none', 'pytorch', 'slurm'], default='none')
# What to do where the memory is full.
LESS = 'end other programs, or take a machine with more'


def tool(
    stopped: str = '', smaller: str = LESS
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Make the main function of a tool end with an exit code.

    A user's mistake is printed as one sentence, and the code is 2. A signal that stopped a training
    gives 128 and its number, as in a shell. Bugs keep their traceback.

    Args:
        stopped: What to do after Ctrl-C, where the tool can go on from there.
        smaller: What to do where the memory is full.
    """

    def wrap(main: Callable[..., int | None]) -> Callable[..., int]:
        @functools.wraps(main)
        def run(*args: Any) -> int:
            forgive()
            try:
                code = _ended(main, args, stopped, smaller)
                sys.stdout.flush()
                return code
            except OSError as error:
                if not _output_is_lost():
                    raise
                if isinstance(error, BrokenPipeError):
                    # As of any program whose reader, as `head -1`, has gone: SIGPIPE, which
                    # Windows does not have.
                    return 128 + 13
                print(f'error: the output cannot be written ({error.strerror}).', file=sys.stderr)
                return 1

        return run

    return wrap


def _ended(main: Callable[..., int | None], args: tuple, stopped: str, smaller: str) -> int:
    """Call the main function of a tool; return its exit code."""
    try:
        _check_words(sys.argv[1:])
        with enough_memory(smaller):
            return main(*args) or 0
    except UserError as error:
        print(f'error: {sentence(error)}', file=sys.stderr)
        return 2
    except TrainingStopped as stop:
        code, text = 128 + stop.signal_number, f'{stop}: saved; go on with --resume'
    except KeyboardInterrupt:
        if not stopped:
            raise
        code, text = 130, ''
    print(f'\nstopped; {stopped}' if stopped else text, file=sys.stderr)
    return code


def finish(code: int) -> None:
    """Leave the process group, where the tool has joined one, and end with an exit code."""
    # After Ctrl-C in the middle of an import of torch a second one would crash.
    launch = sys.modules.get('openmagvit2.engine.launch')
    if launch is not None:
        launch.finish(code)
    sys.stdout.flush()
    sys.stderr.flush()
    if code == 128 + signal.SIGINT:
        # So would the end of an interpreter with half of torch.
        os._exit(code)
    sys.exit(code)


def _output_is_lost() -> bool:
    """Return whether stdout or stderr cannot be written to; what comes goes nowhere then."""
    lost = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.write('\n')
            stream.flush()
        except OSError:
            lost = True
            with contextlib.suppress(OSError), open(os.devnull, 'wb') as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    return lost


def _check_words(words: list[str]) -> None:
    """Raise UserError if a word is empty: as a path it would be the current folder."""
    for before, word in itertools.pairwise(['The command line', *words]):
        if not word or (word.startswith('--') and word.endswith('=')):
            raise UserError(
                f'{word[:-1] or before}: a value is empty; is a variable of the shell not set?'
            )


def sentence(error: UserError) -> str:
    """Return the message without the traceback that a data loader's worker puts around it."""
    text = str(error)
    if not text.startswith('Caught '):
        return text
    return text.rpartition(f'\n{UserError.__module__}.{UserError.__name__}: ')[2].strip()


def forgive() -> None:
    """Print '?' for characters that the terminal's encoding lacks, instead of failing, and one line
    for Ctrl-C.

    A file name or '→' must not end a long run with a UnicodeEncodeError.
    """
    # A log that nobody reads any more must not end a training, nor fill the screen with that.
    logging.raiseExceptions = False
    # A shell's `>&-` closes them.
    sys.stdout = sys.stdout or open(os.devnull, 'w')
    sys.stderr = sys.stderr or open(os.devnull, 'w')
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')
    sys.excepthook = _print_end


def _print_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an exception that ends the program; Ctrl-C is no bug, and has no traceback."""
    if issubclass(kind, KeyboardInterrupt):
        print('Stopped by Ctrl-C.', file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
