"""Measure parts on this machine, beside what it could do and beside plain forms of the same:
python tools/benchmark.py lfq|tokenizer|train_step|…|all [--json] [--device cuda] [--help].
"""

import argparse
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import benchmarks
from benchmarks.report import Result, as_json
from openmagvit2 import console
from openmagvit2.errors import UserError


def main(argv: list[str] | None = None) -> int:
    console.forgive()
    modules = {
        name: importlib.import_module(f'{benchmarks.__name__}.{name}') for name in benchmarks.PARTS
    }
    args = _parser(modules).parse_args(argv)
    chosen = list(modules) if args.part == 'all' else [args.part]

    # After openmagvit2, which sets what torch reads when it is loaded.
    import torch

    from benchmarks.machine import Machine

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
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
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
    for name, module in modules.items():
        text = module.__doc__ or ''
        parsers.append(commands.add_parser(name, help=' '.join(text.split()), description=text))
        module.add_arguments(parsers[-1])
    for command in parsers:
        command.add_argument('--json', action='store_true', help='print one JSON document instead')
        command.add_argument('--device', default='cpu')
        command.add_argument('--threads', type=int, help="default: torch's")
    return parser


def _measured(module: ModuleType, args: argparse.Namespace, machine) -> Iterator[Result]:
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
