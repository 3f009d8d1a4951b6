"""Shared code of the tools: terminal, exit codes and command line arguments."""

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
        raise argparse.ArgumentTypeError('the meta device computes nothing; give another device')
    return name


def count(text: str) -> int:
    """Parse a positive integer: ``parser.add_argument(…, type=count)``."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive integer')
    return int(text)


# Arguments of several tools: ``parser.add_argument('--device', **DEVICE)``.
DEVICE: dict[str, Any] = dict(
    type=_device, help='such as cuda:1, mps or cpu; default: the accelerator, or the CPU'
)
LAUNCHER: dict[str, Any] = dict(choices=['none', 'pytorch', 'slurm'], default='none')
# What to do if the memory is full.
LESS = 'end other programs, or use a machine with more memory'


def tool(
    stopped: str = '', smaller: str = LESS
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Decorate the main function of a tool, so that it returns an exit code.

    A user's mistake is printed as one sentence, with code 2. A signal that stopped a training gives
    128 plus its number, as in a shell. Bugs keep their traceback.

    Args:
        stopped: What to do after Ctrl-C, if the tool can continue from there.
        smaller: What to do if the memory is full.
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
                    # The usual code if the reader of a pipe, such as `head -1`, has ended: that of
                    # SIGPIPE, which Windows does not have.
                    return 128 + 13
                print(f'error: the output cannot be written ({error.strerror}).', file=sys.stderr)
                return 1

        return run

    return wrap


def _ended(main: Callable[..., int | None], args: tuple, stopped: str, smaller: str) -> int:
    """Call the main function of a tool and return the exit code."""
    try:
        _check_words(sys.argv[1:])
        with enough_memory(smaller):
            return main(*args) or 0
    except UserError as error:
        print(f'error: {sentence(error)}', file=sys.stderr)
        return 2
    except TrainingStopped as stop:
        code, text = 128 + stop.signal_number, f'{stop}: saved; continue with --resume'
    except KeyboardInterrupt:
        if not stopped:
            raise
        code, text = 130, ''
    print(f'\nstopped; {stopped}' if stopped else text, file=sys.stderr)
    return code


def finish(code: int) -> None:
    """Leave the process group, if the tool has joined one, and exit with a code."""
    # Not imported here: after Ctrl-C during an import of torch, a second import would crash.
    launch = sys.modules.get('openmagvit2.engine.launch')
    if launch is not None:
        launch.finish(code)
    sys.stdout.flush()
    sys.stderr.flush()
    if code == 128 + signal.SIGINT:
        # An interpreter with a half-imported torch would also crash at its end.
        os._exit(code)
    sys.exit(code)


def _output_is_lost() -> bool:
    """Return whether stdout or stderr cannot be written; redirect such streams to devnull."""
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
    """Raise UserError if a word is empty, which as a path would be the current folder."""
    for before, word in itertools.pairwise(['The command line', *words]):
        if not word or (word.startswith('--') and word.endswith('=')):
            raise UserError(
                f'{word[:-1] or before}: a value is empty; is a shell variable not set?'
            )


def sentence(error: UserError) -> str:
    """Return the message without the traceback that a data loader worker adds."""
    text = str(error)
    if not text.startswith('Caught '):
        return text
    return text.rpartition(f'\n{UserError.__module__}.{UserError.__name__}: ')[2].strip()


def forgive() -> None:
    """Print '?' for characters that the terminal's encoding lacks, and one line for Ctrl-C.

    Otherwise, a file name or '→' could end a long run with a UnicodeEncodeError.
    """
    # Logging to a closed stream must neither end a training nor fill the screen with errors.
    logging.raiseExceptions = False
    # They are None if the shell has closed them by `>&-`.
    sys.stdout = sys.stdout or open(os.devnull, 'w')
    sys.stderr = sys.stderr or open(os.devnull, 'w')
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')
    sys.excepthook = _print_end


def _print_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an exception that ends the program; Ctrl-C is not a bug and gets no traceback."""
    if issubclass(kind, KeyboardInterrupt):
        print('Stopped by Ctrl-C.', file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
