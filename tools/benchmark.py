"""Measure a part on this machine: python tools/benchmark.py lfq|sampling|evaluation [--help]."""

import argparse
import importlib
import sys

import benchmarks
from openmagvit2 import console
from openmagvit2.errors import UserError


def main() -> int:
    console.forgive()
    parser = argparse.ArgumentParser(description='Measure time and memory of a part.')
    commands = parser.add_subparsers(dest='part', required=True)
    for name in benchmarks.COMMANDS:
        module = importlib.import_module(f'{benchmarks.__name__}.{name}')
        command = commands.add_parser(
            name, help=module.__doc__.splitlines()[0], description=module.__doc__
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args()
    try:
        return args.run(args)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
