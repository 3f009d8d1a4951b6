"""Measure parts on this machine, beside what it could do and beside plain forms of the same:
python tools/benchmark.py lfq|tokenizer|train_step|…|all [--json] [--device cuda] [--help].
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import benchmarks
from openmagvit2 import console

if TYPE_CHECKING:
    from benchmarks.report import Result


@console.tool()
def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    # The part comes first; --help of another one need not wait for its imports.
    chosen = [name for name in benchmarks.PARTS if argv[:1] in ([name], ['all'])]
    modules = {name: importlib.import_module(f'{benchmarks.__name__}.{name}') for name in chosen}
    args = _parser(modules).parse_args(argv)

    # After openmagvit2, which sets what torch reads when it is loaded.
    import torch

    from benchmarks.machine import Machine
    from benchmarks.report import as_json

    if args.threads:
        torch.set_num_threads(args.threads)
    args.threads = torch.get_num_threads()
    machine = Machine(args.device)
    say = (lambda text: None) if args.json else (lambda text: print(text, flush=True))
    results: dict[str, list[Result]] = {}
    interrupted = False
    try:
        say(f'{machine}\nfloat32 unless said; memory is beyond inputs and weights')
        for part in chosen:
            say(f'\n---- {part}')
            found = results.setdefault(part, [])
            for result in _measured(modules[part], args, machine):
                found.append(result)
                say(result)
    except KeyboardInterrupt:
        interrupted = True
    if args.json:
        print(as_json(machine.content(), results, interrupted))
    if interrupted:
        return 130
    return 0 if all(result.passed for found in results.values() for result in found) else 1


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Measure time and memory of parts.')
    commands = parser.add_subparsers(dest='part', required=True)
    everything = commands.add_parser('all', help='every part with its defaults')
    parsers = [everything]
    for name in benchmarks.PARTS:
        text = _docstring(name)
        parsers.append(commands.add_parser(name, help=' '.join(text.split()), description=text))
        if name in modules:
            modules[name].add_arguments(parsers[-1])
    for command in parsers:
        command.add_argument('--json', action='store_true', help='print one JSON document instead')
        command.add_argument('--device', default='cpu')
        command.add_argument('--threads', type=int, help="default: torch's")
    return parser


def _docstring(name: str) -> str:
    """Return what a part's file says of it, without an import."""
    file = Path(benchmarks.__path__[0]) / f'{name}.py'
    return ast.get_docstring(ast.parse(file.read_text('utf-8'))) or ''


def _measured(module: ModuleType, args: argparse.Namespace, machine) -> Iterator['Result']:
    """Return the results of a part; 'all' runs it with its defaults."""
    if args.part == 'all':
        own = argparse.ArgumentParser()
        module.add_arguments(own)
        options = own.parse_args([])
        options.device, options.threads = args.device, args.threads
        args = options
    return module.measure(args, machine)


if __name__ == '__main__':
    sys.exit(main())
