"""Shared code of the command line tools: output streams, exit codes and arguments."""

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
        raise argparse.ArgumentTypeError('the meta device cannot compute; choose another device')
    return name


def count(text: str) -> int:
    """Parse a positive integer: ``parser.add_argument(…, type=count)``."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive integer')
    return int(text)


# Options shared by several tools: ``parser.add_argument('--device', **DEVICE)``.
DEVICE: dict[str, Any] = dict(
    type=_device, help='such as cuda:1, mps or cpu; default: the accelerator, or the CPU'
)
LAUNCHER: dict[str, Any] = dict(choices=['none', 'pytorch', 'slurm'], default='none')
# Remedy if memory runs out.
LESS = 'close other programs, or use a machine with more memory'


def tool(
    stopped: str = '', smaller: str = LESS
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Decorate the main function of a tool so that it returns an exit code.

    A :class:`UserError` is printed as one line, with exit code 2. A training that a signal stopped
    exits with 128 plus the signal number, as in a shell. Other exceptions keep their traceback.

    Args:
        stopped: How to continue after Ctrl-C, if the tool can resume.
        smaller: Remedy if memory runs out.
    """

    def wrap(main: Callable[..., int | None]) -> Callable[..., int]:
        @functools.wraps(main)
        def run(*args: Any) -> int:
            set_up_output()
            try:
                code = _exit_code(main, args, stopped, smaller)
                sys.stdout.flush()
                return code
            except OSError as error:
                if not _output_is_closed():
                    raise
                if isinstance(error, BrokenPipeError):
                    # The exit code of SIGPIPE, which Windows lacks: the reader of a pipe, such as
                    # `head -1`, has exited.
                    return 128 + 13
                print(f'error: the output cannot be written ({error.strerror}).', file=sys.stderr)
                return 1

        return run

    return wrap


def _exit_code(main: Callable[..., int | None], args: tuple, stopped: str, smaller: str) -> int:
    """Run the main function of a tool and return its exit code."""
    try:
        _check_arguments(sys.argv[1:])
        with enough_memory(smaller):
            return main(*args) or 0
    except UserError as error:
        if not error.elsewhere:
            print(f'error: {message(error)}', file=sys.stderr)
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
    """Destroy the process group, if any, and exit with a code."""
    # Not imported here: if Ctrl-C interrupted the import of torch, importing it again would crash.
    launch = sys.modules.get('openmagvit2.engine.launch')
    if launch is not None:
        launch.finish(code)
    sys.stdout.flush()
    sys.stderr.flush()
    if code == 128 + signal.SIGINT:
        # With a partially imported torch, the normal exit of the interpreter would crash too.
        os._exit(code)
    sys.exit(code)


def _output_is_closed() -> bool:
    """Return whether stdout or stderr cannot be written; redirect those that cannot to devnull."""
    closed = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.write('\n')
            stream.flush()
        except OSError:
            closed = True
            with contextlib.suppress(OSError), open(os.devnull, 'wb') as devnull:
                os.dup2(devnull.fileno(), stream.fileno())
    return closed


def _check_arguments(arguments: list[str]) -> None:
    """Raise UserError if an argument is empty; as a path, it would mean the current folder."""
    for before, argument in itertools.pairwise(['The command line', *arguments]):
        if not argument or (argument.startswith('--') and argument.endswith('=')):
            raise UserError(
                f'{argument[:-1] or before}: the value is empty; is a shell variable unset?'
            )


def message(error: UserError) -> str:
    """Return an error's message without the traceback that a data loader worker prepends."""
    text = str(error)
    if not text.startswith('Caught '):
        return text
    return text.rpartition(f'\n{UserError.__module__}.{UserError.__name__}: ')[2].strip()


def set_up_output() -> None:
    """Replace characters that the terminal cannot encode by '?'; print one line for Ctrl-C.

    Otherwise, a file name or '→' could abort a long run with a UnicodeEncodeError.
    """
    # Logging to a closed stream must neither abort a training nor print a traceback per record.
    logging.raiseExceptions = False
    # None if the shell closed them with `>&-`.
    sys.stdout = sys.stdout or open(os.devnull, 'w')
    sys.stderr = sys.stderr or open(os.devnull, 'w')
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')
    sys.excepthook = _print_exception


def _print_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an uncaught exception; Ctrl-C gets no traceback."""
    if issubclass(kind, KeyboardInterrupt):
        print('Stopped by Ctrl-C.', file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
