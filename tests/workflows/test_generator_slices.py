"""Training, tokens, generator and samples with tokenizers of several digits or one axis."""

import math
from pathlib import Path

import pytest
import torch
from plot import read_curves

from openmagvit2.apis import Generator
from openmagvit2.config import load_config
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.tokenize import tokenize
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'
SLICES = {
    'ar_grouped_32': ('lfq_grouped_32', (8, 8, 2), [16, 16]),
    'ar_titok_32': ('titok_32', (16,), [8, 32]),
    'ar_rq_32': ('rq_32', (8, 8, 4), [256] * 4),
    'var_32': ('var_tokenizer_32', (21,), [64]),
}
SMOKE = ('ar_grouped_32', 'ar_titok_32')


@pytest.mark.parametrize('name', SLICES)
def test_tokens_come_from_the_tokenizer(name):
    tokenizer, shape, sizes = SLICES[name]
    torch.manual_seed(0)
    generator = Generator.from_config(TINY / f'{name}.py')
    model = generator.model
    assert model.token_shape == shape and model.factorization.vocab_sizes == sizes
    named = load_config(TINY / f'{tokenizer}.py').model
    own = load_config(TINY / f'{name}.py').model.tokenizer
    assert all(own[slot] == named[slot] for slot in ('encoder', 'quantizer', 'decoder'))
    indices = generator.sample_indices([1, 2])
    assert indices.shape == (2, *shape)
    limits = torch.tensor(model.tokenizer.quantizer.codebook_sizes)
    assert (indices >= 0).all() and (indices < limits).all()
    assert generator.sample([1, 2]).shape == (2, 32, 32, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [pytest.param(n, marks=[pytest.mark.smoke] if n in SMOKE else []) for n in SLICES]
)
def test_a_tokenizer_its_tokens_and_a_generator(name, tmp_path):
    tokenizer, shape, sizes = SLICES[name]
    config = load_config(
        TINY / f'{tokenizer}.py', {'train_cfg.max_iters': 4, 'train_cfg.val_interval': 4}
    )
    train(config, str(tmp_path / 'tokenizer'))
    weights = str(tmp_path / 'tokenizer' / 'iter_4.pth')
    header = tokenize(config, weights, tmp_path / 'tokens')
    assert header['grid'] == list(shape)
    options = {
        'model.tokenizer.checkpoint': weights,
        'train_dataloader.dataset': dict(
            _delete_=True, type='TokenCache', data_root=str(tmp_path / 'tokens')
        ),
        'default_hooks.logger.interval': 1,
    }
    if load_config(TINY / f'{name}.py').model.get('soft_targets'):
        # A token cache does not store distributions.
        options['model.soft_targets'] = None
    config = load_config(TINY / f'{name}.py', options)
    train(config, str(tmp_path / 'generator'))
    losses = list(read_curves(tmp_path / 'generator')['loss'].values())
    # A new head is uniform; twenty steps learn at least which codes occur.
    assert losses[0] == pytest.approx(math.log(math.prod(sizes)), abs=0.1 * len(sizes))
    assert losses[-1] < losses[0] - 0.3
    generator = Generator.from_config(config, tmp_path / 'generator' / 'iter_20.pth')
    guided = {} if generator.model.conditioner.null(1) is None else dict(guidance=2.0)
    assert generator.sample([0, 1, 2], **guided).shape == (3, 32, 32, 3)
    # Evaluation: nats of the generator, and usage of each codebook.
    measured = run_test(config, str(tmp_path / 'generator' / 'iter_20.pth'))
    assert 0 < measured['nll'] < losses[0] * math.prod(shape[:-1] if len(sizes) > 2 else shape)
    usage = run_test(load_config(TINY / f'{tokenizer}.py'), weights)
    digits = len(generator.model.tokenizer.quantizer.codebook_sizes)
    assert all(0 < usage[f'usage_{i}'] <= 1 for i in range(digits) if digits > 1)
    assert 0 < usage['usage'] <= 1
