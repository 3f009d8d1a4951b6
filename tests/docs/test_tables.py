"""The tables of published numbers in the guide are those of the metafiles."""

from pathlib import Path

import pytest
import yaml

from openmagvit2.apis.models import configs_folder

GUIDE = Path(__file__).parents[2] / 'docs' / 'guides' / 'evaluate.md'
METAFILES = sorted(configs_folder().rglob('metafile.yml'))
FORMATS = dict(
    rfid_inception='{:.2f}',
    psnr='{:.2f}',
    ssim='{:.2f}',
    usage='{:.0%}',
    fid_inception='{:.2f}',
    inception_score='{:.2f}',
    precision='{:.2f}',
    recall='{:.2f}',
)
TOKENIZER = ('rfid_inception', 'psnr', 'ssim', 'usage')
GENERATOR = ('fid_inception', 'inception_score', 'precision', 'recall')


def rows(file: Path) -> list[str]:
    """Rows of Markdown for the results of a metafile, in its order."""
    out = []
    for entry in yaml.safe_load(file.read_text())['models']:
        for result in entry['expected'] + (entry['measured'] or []):
            values, protocol = result['values'], result['protocol']
            generator = 'fid_inception' in values
            names = GENERATOR if generator else TOKENIZER
            numbers = [FORMATS[n].format(values[n]) if n in values else '' for n in names]
            images = [] if generator else [f'{protocol["images"]}, {protocol["size"]}']
            cells = [f'`{entry["name"]}`', *images, *numbers, result['source']]
            out.append(f'| {" | ".join(cells)} |'.replace('|  |', '| |').replace('|  |', '| |'))
    return out


@pytest.mark.parametrize('file', METAFILES, ids=lambda file: file.parent.name)
def test_rows(file):
    text = GUIDE.read_text()
    missing = [row for row in rows(file) if row not in text]
    assert not missing, 'docs/guides/evaluate.md lacks\n' + '\n'.join(missing)
