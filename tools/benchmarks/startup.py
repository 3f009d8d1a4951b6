"""Time to import openmagvit2.apis and to print --help of a tool, compared with importing torch."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import Machine, seconds_of
from benchmarks.report import Result
from openmagvit2 import console

TOOLS = Path(__file__).parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--repeats', type=console.count, default=3)


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Measure the import of the API, and the --help of training."""
    torch = _seconds(['-c', 'import torch'], args.repeats)
    door = _seconds(['-c', 'from openmagvit2.apis import Tokenizer, list_models'], args.repeats)
    yield Result(
        'import of openmagvit2.apis',
        door,
        floor=torch,
        floor_of='import torch',
        notes=[f'{door - torch:.2f} s more than torch'],
    )
    yield Result(
        'tools/train.py --help', _seconds([str(TOOLS / 'train.py'), '--help'], args.repeats)
    )


def _seconds(arguments: list[str], repeats: int) -> float:
    command = [sys.executable, *arguments]
    return seconds_of(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=TOOLS.parent),
        repeats=repeats,
    )
