"""Token caches: the same training as from images, killed runs, views, and mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.apis.running import train
from openmagvit2.apis.tokenize import tokenize, views_of
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.datasets import TokenCache

ROOT = Path(__file__).parents[2]
TINY = ROOT / 'configs' / 'tiny'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A tokenizer with seeded weights, whose codes vary."""
    torch.manual_seed(0)
    model = init_model(TINY / 'lfq_32.py')
    path = tmp_path_factory.mktemp('tokenizer') / 'tokenizer.pth'
    write_checkpoint(dict(state_dict=model.state_dict()), path)
    return path


def losses(folder: Path) -> list[float]:
    (log,) = folder.glob('*/vis_data/scalars.json')
    return [line['loss'] for line in map(json.loads, log.read_text().splitlines()) if 'loss' in line]


def test_training_from_tokens_and_from_images_is_the_same(checkpoint, tmp_path):
    header = tokenize(load_config(TINY / 'lfq_32.py'), str(checkpoint), tmp_path / 'tokens', block=100)
    assert (header['num_images'], header['num_views'], header['grid'], header['dtype']) == (256, 1, [8, 8], 'uint8')
    common = {'model.tokenizer.checkpoint': str(checkpoint), 'default_hooks.logger.interval': 1, 'custom_hooks': []}
    train(load_config(TINY / 'ar_32.py', dict(common, experiment_name=f'{tmp_path.name}-a')), str(tmp_path / 'images'))
    cache = dict(_delete_=True, type='TokenCache', data_root=str(tmp_path / 'tokens'))
    options = dict(common, experiment_name=f'{tmp_path.name}-b', **{'train_dataloader.dataset': cache})
    train(load_config(TINY / 'ar_32.py', options), str(tmp_path / 'cached'))
    a, b = losses(tmp_path / 'images'), losses(tmp_path / 'cached')
    assert len(a) == 20 and b == pytest.approx(a, rel=1e-6)
    assert a[0] > a[-1]


def test_another_tokenizer_is_refused(checkpoint, tmp_path):
    tokenize(load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 20}), str(checkpoint), tmp_path / 'tokens')
    cache = dict(_delete_=True, type='TokenCache', data_root=str(tmp_path / 'tokens'))
    options = {'train_dataloader.dataset': cache, 'model.tokenizer.seed': 5, 'experiment_name': tmp_path.name}
    with pytest.raises(ValueError, match='was made by another tokenizer'):
        train(load_config(TINY / 'ar_32.py', options), str(tmp_path / 'run'))
    with pytest.raises(ValueError, match=r'holds tokens of other settings \(num_images, recipe\)'):
        tokenize(load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 21}), str(checkpoint), tmp_path / 'tokens')
    with pytest.raises(ValueError, match='no header.json'):
        TokenCache(data_root=str(tmp_path))


def test_views(checkpoint, tmp_path):
    pipeline = [dict(type='Pad', size=40), dict(type='RandomCrop', size=32), dict(type='RandomFlip')]
    options = {'train_dataloader.dataset.num_images': 12, 'train_dataloader.dataset.pipeline': pipeline}
    config = load_config(TINY / 'lfq_32.py', options)
    header = tokenize(config, str(checkpoint), tmp_path / 'ten', crops='ten')
    assert header['num_views'] == 10
    cache = TokenCache(data_root=str(tmp_path / 'ten'))
    assert len({cache[3, epoch]['indices'].numpy().tobytes() for epoch in range(40)}) > 5
    assert cache[3, 1]['indices'].equal(TokenCache(data_root=str(tmp_path / 'ten'))[3, 1]['indices'])
    assert tokenize(config, str(checkpoint), tmp_path / 'random', crops='random:3', flip=True)['num_views'] == 6
    assert [steps[1]['type'] for steps, _ in views_of(pipeline, 'centre', False)] == ['CenterCrop']
    with pytest.raises(ValueError, match='--crops must be'):
        views_of(pipeline, 'random:x', False)


@pytest.mark.slow
@pytest.mark.smoke
def test_a_killed_run_ends_with_the_same_bytes(checkpoint, tmp_path):
    command = [sys.executable, '-c', KILLED, str(TINY / 'lfq_32.py'), str(checkpoint)]
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    subprocess.run([*command, str(tmp_path / 'whole')], env=environment, cwd=ROOT, check=True, timeout=200)
    process = subprocess.Popen([*command, str(tmp_path / 'killed')], env=environment, cwd=ROOT)
    deadline = time.time() + 120
    while len(list((tmp_path / 'killed').glob('.block-*'))) < 3 and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not json.loads((tmp_path / 'killed' / 'header.json').read_text())['finished']
    with pytest.raises(ValueError, match='is not finished'):
        TokenCache(data_root=str(tmp_path / 'killed'))
    subprocess.run([*command, str(tmp_path / 'killed')], env=environment, cwd=ROOT, check=True, timeout=200)
    for name in ('tokens.bin', 'labels.npy', 'header.json'):
        assert (tmp_path / 'whole' / name).read_bytes() == (tmp_path / 'killed' / name).read_bytes(), name
    assert not list((tmp_path / 'killed').glob('.block-*'))
    assert len(np.unique(np.fromfile(tmp_path / 'whole' / 'tokens.bin', np.uint8))) > 10


KILLED = """
import sys
from openmagvit2.apis.tokenize import tokenize
from openmagvit2.config import load_config
tokenize(load_config(sys.argv[1]), sys.argv[2], sys.argv[3], batch_size=4, block=8)
"""
