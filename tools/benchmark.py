"""Benchmark parts on this machine, against its limits and against plain implementations:
python tools/benchmark.py lfq|tokenizer|train_step|…|all [--json] [--device cuda] [--help].
"""

import argparse
import ast
import importlib
import json
import subprocess
import sys
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
    # The part comes first; only its module is imported, so that --help is fast.
    part = argv[0] if argv[:1] and argv[0] in benchmarks.PARTS else None
    module = importlib.import_module(f'{benchmarks.__name__}.{part}') if part else None
    args = _parser(part, module).parse_args(argv)
    return every_part(argv[1:], args.json) if module is None else one_part(module, args)


def every_part(options: list[str], as_json: bool) -> int:
    """Run each part in a separate process, so that parts do not share memory, and return the
    largest exit code; 130 after Ctrl-C.
    """
    codes, documents = [], []
    for part in benchmarks.PARTS:
        command = [sys.executable, __file__, part, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE if as_json else None) as process:
            try:
                out, _ = process.communicate()
            except KeyboardInterrupt:
                # The part also receives Ctrl-C, and prints its results so far.
                out, _ = process.communicate()
        codes.append(process.returncode)
        if out:
            documents.append(json.loads(out))
        if process.returncode not in (0, 1):
            break
    if as_json and documents:
        results = {part: found for one in documents for part, found in one['results'].items()}
        interrupted = any(one['interrupted'] for one in documents)
        print(json.dumps(documents[0] | dict(results=results, interrupted=interrupted), indent=1))
    return max(codes)


def one_part(module: ModuleType, args: argparse.Namespace) -> int:
    """Run a part, print its results and return the exit code."""
    # After openmagvit2, which sets variables that torch reads on import.
    import torch

    from benchmarks.machine import Machine
    from benchmarks.report import as_json

    if args.threads:
        torch.set_num_threads(args.threads)
    args.threads = torch.get_num_threads()
    machine = Machine(args.device)
    say = (lambda text: None) if args.json else (lambda text: print(text, flush=True))
    results: list[Result] = []
    interrupted = False
    try:
        say(f'{machine}\nfloat32 unless stated; memory is beyond inputs and weights')
        say(f'\n---- {args.part}')
        for result in module.measure(args, machine):
            results.append(result)
            say(result)
    except KeyboardInterrupt:
        interrupted = True
    if args.json:
        print(as_json(machine.content(), {args.part: results}, interrupted))
    if interrupted:
        return 130
    return 0 if all(result.passed for result in results) else 1


def _parser(part: str | None, module: ModuleType | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Measure the time and memory of parts.')
    commands = parser.add_subparsers(dest='part', required=True)
    parsers = [
        commands.add_parser('all', help='all parts with their defaults, one after the other')
    ]
    for name in benchmarks.PARTS:
        text = _docstring(name)
        parsers.append(commands.add_parser(name, help=' '.join(text.split()), description=text))
        if name == part:
            module.add_arguments(parsers[-1])
    for command in parsers:
        command.add_argument('--json', action='store_true', help='print one JSON document instead')
        command.add_argument('--device', default='cpu')
        command.add_argument('--threads', type=console.count, help="default: torch's")
    return parser


def _docstring(name: str) -> str:
    """Return the docstring of a part's module without importing it."""
    file = Path(benchmarks.__path__[0]) / f'{name}.py'
    return ast.get_docstring(ast.parse(file.read_text('utf-8'))) or ''


if __name__ == '__main__':
    sys.exit(main())
