"""A tokenizer of latent tokens, whose grid has one axis, in the API, in the token cache and in a
training.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from openmagvit2.apis import Tokenizer, init_model
from openmagvit2.errors import UserError

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / 'configs' / 'tiny' / 'titok_32.py'


@pytest.fixture(scope='module')
def tokenizer():
    return Tokenizer.from_config(CONFIG)


def test_an_image_is_sixteen_tokens(tokenizer):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    indices = tokenizer.encode(list(images))
    assert indices.shape == (2, 16) and indices.dtype == torch.int64
    decoded = tokenizer.decode(indices)
    assert decoded.shape == images.shape and decoded.dtype == np.uint8
    assert np.array_equal(tokenizer.decode(indices[1])[0], decoded[1])
    assert np.array_equal(tokenizer.reconstruct([images[0]])[0], decoded[0])


def test_codes_have_one_axis_of_positions():
    model = init_model(CONFIG).eval()
    assert model.grid((32, 32)) == (16,)
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    out = model.encode(image)
    assert out.codes.shape == (2, 12, 16) and out.indices.shape == (2, 16)
    again = model.quantizer.indices_to_codes(out.indices)
    torch.testing.assert_close(again, out.codes)
    torch.testing.assert_close(model.decode_indices(out.indices), model.decode(out.codes))


def test_other_sizes_are_refused(tokenizer):
    with pytest.raises(UserError, match='The image is 40x32; LatentVitEncoder only accepts 32x32'):
        tokenizer.encode([np.zeros((40, 32, 3), np.uint8)])
    with pytest.raises(UserError, match=r'indices must have .* shape'):
        tokenizer.decode(torch.zeros(1, 4, 4, dtype=torch.int64))


@pytest.mark.slow
@pytest.mark.smoke
def test_it_trains_and_tokenizes(tmp_path):
    run = tmp_path / 'run'
    _tool('train.py', CONFIG, '--work-dir', run)
    assert (run / 'iter_20.pth').is_file()
    metrics = json.loads((run / 'metrics.json').read_text())['metrics']
    # A gray picture has 6 dB, one code a perplexity of 1.
    assert metrics['psnr'] > 7.5 and metrics['perplexity'] > 4
    cache = tmp_path / 'tokens'
    _tool('tokenize_dataset.py', CONFIG, run / 'iter_20.pth', '--out', cache)
    header = json.loads((cache / 'header.json').read_text())
    assert header['grid'] == [16] and header['num_images'] == 256
    assert (cache / 'tokens.bin').stat().st_size == 256 * 16


def _tool(name, *arguments):
    command = [sys.executable, ROOT / 'tools' / name, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
