"""A work directory of version 1, with its config and checkpoint, trains, tests and samples."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.checkpoint import read_checkpoint, write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.train import train

CONFIGS = Path(__file__).parents[2] / 'configs' / 'tiny'
OPTIONS = {
    'train_cfg.max_iters': 4,
    'train_cfg.val_interval': 4,
    'val_dataloader.dataset.num_images': 8,
    'global_batch_size': 4,
    'default_hooks.checkpoint.interval': 2,
    'optim_wrapper.dtype': 'float32',
}
PAIR = dict(channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1)
TOKENIZER = dict(
    encoder=dict(type='CnnEncoder', downsample='strided_conv', **PAIR),
    quantizer=dict(type='LFQ', num_bits=8, temperature=0.01),
    decoder=dict(type='CnnDecoder', upsample='depth_to_space', adaptive_norm=True, **PAIR),
    type='VisualTokenizer',
)
# The models in merged configs of version 1.
MODELS = dict(
    lfq_32=TOKENIZER
    | dict(
        discriminator=dict(type='PatchGAN', channels=16, num_layers=2),
        adversarial_weight=0.1,
        lecam_weight=0.05,
        perceptual_loss=None,
    ),
    ar_32=dict(
        type='ClassConditionalGenerator',
        tokenizer=TOKENIZER | dict(checkpoint=None, seed=0),
        factorization=dict(type='TokenFactorization', bits=[3, 5]),
        backbone=dict(type='Llama', dim=64, num_layers=2, num_heads=4, dropout=0.0),
        head=dict(type='NextSubTokenHead', num_layers=1, dropout=0.0),
        num_classes=10,
        grid=(8, 8),
        token_dropout=0.0,
    ),
)


@pytest.mark.parametrize('name', MODELS)
def test_a_version_1_folder_trains_on_tests_and_samples(name, tmp_path):
    today = load_config(CONFIGS / f'{name}.py', OPTIONS)
    train(today, str(tmp_path / 'today'))
    halfway = read_checkpoint(tmp_path / 'today' / 'iter_2.pth')
    old = tmp_path / 'old'
    old.mkdir()
    text = Config(today.to_dict() | dict(model=MODELS[name])).pretty_text
    (old / f'{name}.py').write_text(text)
    # The first checkpoints had no count of images and no identity of a run.
    meta = {k: v for k, v in halfway['meta'].items() if k not in ('samples_seen', 'run')}
    write_checkpoint(halfway | dict(meta=meta | dict(cfg=text)), old / 'iter_2.pth')

    train(load_config(old / f'{name}.py'), str(old), resume=True)
    a, b = (read_checkpoint(folder / 'iter_4.pth') for folder in (tmp_path / 'today', old))
    for key in {'state_dict', 'ema_state_dict'} & a.keys():
        assert a[key].keys() == b[key].keys()
        assert all(value.equal(b[key][entry]) for entry, value in a[key].items())

    # The merged config of a resumed training names the checkpoint; a new training ignores it.
    assert 'iter_2.pth' in load_config(old / f'{name}.py').load_from
    fresh = load_config(old / f'{name}.py', {'train_cfg.max_iters': 1})
    train(fresh, str(tmp_path / 'fresh'))
    assert read_checkpoint(tmp_path / 'fresh' / 'iter_1.pth')['meta']['iter'] == 1

    files = [(CONFIGS / f'{name}.py', tmp_path / 'today'), (old / f'{name}.py', old)]
    metrics = [
        run_test(
            load_config(file, OPTIONS),
            str(folder / 'iter_4.pth'),
            str(folder / 'test'),
        )
        for file, folder in files
    ]
    assert metrics[0] == metrics[1] and metrics[0]
    if name == 'ar_32':
        models = [Generator.from_config(file, folder / 'iter_4.pth') for file, folder in files]
        first, second = (model.sample([1, 7], seed=3) for model in models)
    else:
        models = [Tokenizer.from_config(file, folder / 'iter_4.pth') for file, folder in files]
        image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
        first, second = (model.reconstruct(image) for model in models)
    assert np.array_equal(first, second) and len(first)
