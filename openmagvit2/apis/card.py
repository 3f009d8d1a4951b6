"""Write the model card of a folder, its ``README.md``."""

from collections.abc import Collection
from typing import Any

from openmagvit2.apis.models import model_info

# Names of metrics in cards; others keep their names.
TITLES = dict(
    rfid_inception='rFID', fid_inception='FID', inception_score='IS', psnr='PSNR', ssim='SSIM'
)
TOKENIZER = """from openmagvit2.apis import Tokenizer

tokenizer = Tokenizer.from_pretrained('FOLDER_OR_NAME')
indices = tokenizer.encode('photo.png')
image = tokenizer.decode(indices)[0]"""
GENERATOR = """from openmagvit2.apis import Generator

generator = Generator.from_pretrained('FOLDER_OR_NAME')
images = generator.sample([0, 1], seed=0)"""


def model_card(
    name: str, generator: bool, metrics: dict[str, Any] | None = None, imports: Collection[str] = ()
) -> str:
    """Return the card of a model: Markdown, with the front matter of the hub.

    Args:
        name: Name of its config.
        generator: Whether the model is a generator or a tokenizer.
        metrics: Content of a ``metrics.json`` that was measured with these weights.
        imports: Modules of the user that register parts of the model.
    """
    registering = ''.join(
        f'import {own}  # registers parts of this model\n' for own in sorted(imports)
    )
    kind = 'class-conditional-image-generation' if generator else 'image-tokenizer'
    parts = [
        f'---\nlibrary_name: openmagvit2\ntags:\n- {kind}\n---\n\n# {name}\n',
        f'A {"generator with its tokenizer" if generator else "tokenizer"} of openmagvit2, in the '
        f'config `{name}`.\n',
        f'```python\n{registering}{GENERATOR if generator else TOKENIZER}\n```\n',
    ]
    if metrics:
        parts.append('## Measured\n\n' + _measured(metrics))
    info = model_info(name)
    if info and info['expected']:
        parts.append('## Published for this config\n\n' + _published(info))
    return '\n'.join(parts)


def _measured(metrics: dict[str, Any]) -> str:
    """Return the values and the protocol of a ``metrics.json``."""
    rows = [
        f'| {TITLES.get(key, key)} | {value:.4g} |' for key, value in metrics['metrics'].items()
    ]
    how = [f'- {line}' for line in metrics.get('protocol', [])]
    lines = ['| value | |', '|---|---|', *rows, '', f'On {metrics["images"]} images:', '', *how]
    return '\n'.join(lines) + '\n'


def _published(info: dict[str, Any]) -> str:
    """Return the published values in the metafile, which were not measured with these weights."""
    lines = [f'{info["row"] or info["name"]}; these weights were not measured.', '']
    for result in info['expected']:
        values = ', '.join(f'{TITLES.get(k, k)} {v:g}' for k, v in result['values'].items())
        where = result['protocol'].get('images') or result['protocol'].get('samples')
        lines.append(f'- {values} ({where}; {result["source"]})')
    return '\n'.join(lines) + '\n'
