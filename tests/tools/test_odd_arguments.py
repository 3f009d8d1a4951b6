"""Invalid arguments are reported in one sentence, before anything is written."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    for stage in ('fsq', 'ar'):
        torch.manual_seed(0)
        model = init_model(f'tiny/{stage}_32')
        write_checkpoint(dict(state_dict=model.state_dict()), folder / f'{stage}.pth')
    (folder / 'empty.py').write_text('')
    (folder / 'link.py').symlink_to('nowhere')
    (folder / 'images').mkdir()
    Image.new('RGB', (32, 32)).save(folder / 'images' / 'a.png')
    return folder


@pytest.fixture
def run(folder, monkeypatch, tool):
    def call(line: str) -> tuple[int, str]:
        monkeypatch.chdir(folder)
        words = line.replace("''", '§').split()
        code, _, errors = tool(*(word.replace('§', '') for word in words))
        return code, errors.strip().rpartition('\n')[2]

    return call


AR, FSQ = 'tiny/ar_32 ar.pth --labels 1 --num 1', 'tiny/fsq_32 fsq.pth'
CONFIG = f'{ROOT}/configs/tiny/fsq_32.py fsq.pth'


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        # Files that are not configs.
        ('sample empty.py ar.pth', 'empty.py has no model'),
        ('reconstruct empty.py fsq.pth images', 'empty.py has no model'),
        ('convert_checkpoint fsq.pth c.pth --config empty.py', 'empty.py has no model'),
        ('tokenize_dataset empty.py fsq.pth --out t', 'no train_dataloader.dataset to tokenize'),
        ('test empty.py fsq.pth', 'empty.py has no model'),
        ('sample link.py ar.pth', 'link.py does not exist.'),
        # Empty values, such as those of a variable that is not set.
        (f"sample {AR} --out-dir ''", '--out-dir: the value is empty'),
        (f"sample {AR} --npz ''", '--npz: the value is empty'),
        (f'tokenize_dataset {CONFIG} --out=', '--out: the value is empty'),
        (f"reconstruct {FSQ} '' --out-dir o", 'fsq.pth: the value is empty'),
        # Numbers.
        (f'sample {AR} --device meta', 'the meta device cannot compute'),
        (
            f'tokenize_dataset {CONFIG} --out t --num-workers -1',
            'must be a non-negative integer, got -1',
        ),
        (f'tokenize_dataset {CONFIG} --out t --num-workers 99999', 'more than this machine can'),
        (f'tokenize_dataset {CONFIG} --out t --crops random:²', 'N from 1 to 10000, got'),
        (f'tokenize_dataset {CONFIG} --out t --crops random:{10**12}', 'N from 1 to 10000, got'),
        (
            f'test {CONFIG} --size ² --work-dir t',
            "a positive integer (the crops are square) or 'or",
        ),
        (f'test {CONFIG} --size {10**6} --work-dir t', 'gives images of 4000 GB; this machine'),
        (f'reconstruct {FSQ} images --out-dir o --size {10**6}', 'gives images of 4000 GB'),
        (f'sample {AR}000000 --out-dir o', '1000000 images are too many for one grid'),
        (f'sample {AR} --npz o.npz --num-per-class {10**12}', 'samples are too many; sample at'),
        (
            f'sample {AR} --rejection keep=0.5 size=-1',
            '--rejection.size must be a positive integer',
        ),
        (f'sample {AR} --rejection keep=0.5 mean=x', '--rejection.mean must be a number'),
        ('evaluate_npz a b --features TimmFeatures --features-options model=5', 'must be a string'),
        ('evaluate_npz a.npz images --out ./a.npz', './a.npz: this is an input'),
        ('benchmark lfq --device nope', '--device nope cannot be used here'),
        ('plot a --smooth 0', "argument --smooth: '0' is not a positive integer"),
        ('benchmark lfq --threads -1', "argument --threads: '-1' is not a positive integer"),
        ('benchmark lfq --repeats 0', "argument --repeats: '0' is not a positive integer"),
        # Duplicates, and inputs that would be overwritten.
        (f'test {CONFIG} --metrics psnr,psnr --work-dir t', 'PSNR would be measured twice'),
        (f'test {CONFIG} --metrics usage,usage --work-dir t', 'CodebookUsage would be measured'),
        (f'reconstruct {FSQ} images --out-dir images', '--out-dir images has input images'),
        # Missing files.
        (
            f'tokenize_dataset {CONFIG} --out t --split val --cfg-options val_dataloader=None',
            'has no val_dataloader.dataset to tokenize',
        ),
    ],
)
def test_one_sentence(run, line, message):
    code, error = run(line)
    assert code == 2 and message in error, error


@pytest.mark.parametrize('key', ['train_dataloader', 'train_cfg', 'optim_wrapper'])
def test_a_test_needs_no_training(run, key):
    options = f'{key}=None val_dataloader.dataset.num_images=4'
    assert run(f'test {CONFIG} --work-dir {key} --metrics psnr --cfg-options {options}')[0] == 0


def test_samples_of_another_size_are_not_mixed(run):
    assert run(f'sample {AR} --out-dir sizes')[0] == 0
    code, error = run(f'sample {AR} --out-dir sizes --image-size 48')
    assert code == 2 and 'sizes contains samples with other settings (size)' in error
