"""Write the tables of models into the documentation, from the metafiles of the configs."""

import argparse
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import yaml

from openmagvit2 import console

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = '<!-- begin {}: written by tools/tables.py -->\n', '<!-- end {} -->\n'
TOKENIZER = dict(rfid_inception='rFID', psnr='PSNR', ssim='SSIM', lpips='LPIPS', usage='usage')
GENERATOR = dict(fid_inception='FID', inception_score='IS', precision='precision', recall='recall')


def load_systems() -> dict[str, list[dict]]:
    """Read the entries of all metafiles by folder, with those of the paper first."""
    files = (ROOT / 'configs').rglob('metafile.yml')
    return {
        file.parent.relative_to(ROOT).as_posix(): yaml.safe_load(file.read_text('utf-8'))['models']
        for file in sorted(files, key=lambda file: (len(file.parts), file))
    }


def result_tables(systems: dict[str, list[dict]]) -> str:
    """Format published and measured results: one section per system, one row per result."""
    parts = []
    for folder, entries in systems.items():
        parts.append(f'### `{folder}`\n')
        rows = [
            (entry, result)
            for entry in entries
            for result in entry['expected'] + (entry['measured'] or [])
        ]
        for columns, generates in ((TOKENIZER, False), (GENERATOR, True)):
            kind = [row for row in rows if is_generator(row[1]) == generates]
            used = {k: v for k, v in columns.items() if any(k in r['values'] for _, r in kind)}
            titles = ['row', *([] if generates else ['images', 'size']), *used.values()]
            if kind:
                parts.append(
                    table([*titles, 'source', 'command'], [result_row(*row, used) for row in kind])
                )
        silent = [f'`{entry["name"]}`' for entry in entries if not entry['expected']]
        if silent:
            names = f'Without a published result: {", ".join(silent)}.'
            parts.append(textwrap.fill(names, 100, break_on_hyphens=False) + '\n')
    return '\n'.join(parts)


def is_generator(result: dict) -> bool:
    """Return whether a result is of samples, not of reconstructions."""
    return not set(result['values']).isdisjoint(GENERATOR)


def result_row(entry: dict, result: dict, columns: dict[str, str]) -> list[str]:
    """Return the table cells of a result; ``columns`` are the values that the table shows."""
    protocol, values = result['protocol'], result['values']
    generates = is_generator(result)
    where = [] if generates else [protocol['images'], str(protocol['size'])]
    numbers = [number(key, values[key]) if key in values else '' for key in columns]
    options = f' {protocol["options"]}' if protocol.get('options') else ''
    command = f'`test.py configs/{entry["name"]}.py CKPT{options}`'
    return [entry['row'] or entry['name'], *where, *numbers, result['source'], command]


def number(key: str, value: float) -> str:
    """Format a value as the papers do."""
    if key == 'usage':
        return f'{value:.0%}' if value in (0, 1) else f'{100 * value:g}%'
    digits = max(2, len(str(value).partition('.')[2]))
    return f'{value:.{digits}f}'


def config_tables(systems: dict[str, list[dict]]) -> str:
    """Format the configs: row of the paper, number of parameters, official file and converter."""
    parts = []
    for folder, entries in systems.items():
        parts.append(f'### `{folder}`\n')
        rows = [
            [
                f'`{entry["config"]}`',
                entry['row'] or '',
                f'{entry["parameters"]:,}',
                official(entry['official']),
            ]
            for entry in entries
        ]
        parts.append(table(['config', 'row', 'parameters', 'official file'], rows))
    return '\n'.join(parts)


def official(files: dict | list[dict] | None) -> str:
    """Format the published files of an entry and the converter that reads them."""
    if not files:
        return 'none'
    every = files if isinstance(files, list) else [files]
    names = ', '.join(f'`{file["file"]}`' for file in every)
    place = every[0]['repository']
    if '://' in place:
        place = f'[its page]({place})'
    return f'{names} of {place} ({every[0]["converter"]})'


def table(titles: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [titles, ['---'] * len(titles), *rows]
    return ''.join(f'| {" | ".join(cells)} |\n'.replace('|  |', '| |') for cells in lines)


PAGES: dict[str, tuple[str, Callable[[dict[str, list[dict]]], str]]] = {
    'docs/guides/evaluate.md': ('results', result_tables),
    'docs/reference/configs.md': ('models', config_tables),
}


def write_page(text: str, name: str, tables: str) -> str:
    """Return the page with its block ``name`` replaced.

    Raises:
        ValueError: The page lacks the comments that delimit the block.
    """
    begin, end = BEGIN.format(name), END.format(name)
    before, _, rest = text.partition(begin)
    if end not in rest:
        raise ValueError(f'The page lacks the lines {begin!r} and {end!r}.')
    return f'{before}{begin}\n{tables}\n{end}{rest.partition(end)[2]}'


@console.tool()
def main() -> int:
    """Rewrite the pages, or with ``--check`` name those that are not up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='write nothing; exit 1 if outdated')
    check = parser.parse_args().check
    systems, outdated = load_systems(), []
    for page, (name, write) in PAGES.items():
        path = ROOT / page
        old = path.read_text('utf-8')
        new = write_page(old, name, write(systems))
        if new != old:
            outdated.append(page)
            if not check:
                path.write_text(new, 'utf-8')
    print(f'{"outdated" if check else "written"}: {", ".join(outdated) or "none"}')
    return int(check and bool(outdated))


if __name__ == '__main__':
    sys.exit(main())
