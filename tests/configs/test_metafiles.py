"""The metafiles are complete, name existing configs, and agree with configs and converters."""

import re
from pathlib import Path

import pytest
import yaml

from openmagvit2.apis import list_models, model_info
from openmagvit2.apis.models import configs_folder, published_files
from openmagvit2.registry import CONVERTERS

ROOT = Path(__file__).parents[2]
METAFILES = sorted(configs_folder().rglob('metafile.yml'))
ENTRIES = [
    (file, entry) for file in METAFILES for entry in yaml.safe_load(file.read_text())['models']
]
TOKENIZER = {'rfid_inception', 'psnr', 'ssim', 'lpips', 'usage'}
GENERATOR = {'fid_inception', 'inception_score', 'precision', 'recall'}


def official(entry) -> list[dict]:
    """The published files of an entry."""
    files = entry['official'] or []
    return files if isinstance(files, list) else [files]


@pytest.mark.parametrize(('file', 'entry'), ENTRIES, ids=[entry['name'] for _, entry in ENTRIES])
def test_entry(file, entry):
    keys = ['name', 'config', 'row', 'parameters', 'expected', 'measured', 'official']
    assert list(entry) == keys and entry['parameters'] > 0
    assert entry['name'] in list_models() and model_info(entry['name']) == entry
    name = (file.parent / entry['config']).relative_to(configs_folder()).with_suffix('')
    assert name.as_posix() == entry['name']
    for published in official(entry):
        assert list(published) == ['file', 'repository', 'sha256', 'converter']
        assert re.fullmatch(r'[\w-]+/[\w.-]+|https://\S+', published['repository'])
    for result in [*entry['expected'], *(entry['measured'] or [])]:
        assert list(result) == ['protocol', 'source', 'values'] and result['source']
        values = set(result['values'])
        assert values and (values <= GENERATOR or values <= TOKENIZER)


def test_configs_without_an_entry():
    names = {entry['name'] for _, entry in ENTRIES}
    assert len(names) == len(ENTRIES)
    assert model_info('tiny/lfq_32') is None and model_info('fsq_256') is None
    # Each published row whose number a config's first lines promise is in a metafile.
    for name in list_models():
        text = (configs_folder() / f'{name}.py').read_text()
        promised = re.search(r'expect (rFID|FID) ([\d.]+\d)', text)
        if promised and 'ablations' not in name:
            values = [result['values'] for result in model_info(name)['expected']]
            key = dict(rFID='rfid_inception', FID='fid_inception')[promised[1]]
            assert float(promised[2]) in [value.get(key) for value in values], name


def test_published_files_have_converters():
    """What `tools/convert_checkpoint.py --list` prints."""
    for name, file in published_files():
        assert file['converter'] in CONVERTERS.names() and name in list_models()
    files = {tuple(file.values()) for _, entry in ENTRIES for file in official(entry)}
    assert {tuple(file.values()) for _, file in published_files()} == files
