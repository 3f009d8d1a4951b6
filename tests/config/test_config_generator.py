"""Invalid settings of generators are one-sentence errors that name the key."""

from pathlib import Path

import pytest

from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.models.samplers.build import build_sampler
from openmagvit2.registry import MODELS

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'
FRACTION = r' must be a number from 0 to 1, got '
COUNT = r' must be a positive integer, got '
FOLLOWS = r' follows from the other parts, and is .*; leave it out instead of setting it to '


def build(name: str, options: dict):
    return MODELS.build(load_config(TINY / f'{name}.py', options).model)


@pytest.mark.parametrize(
    ('name', 'key', 'values', 'message'),
    [
        ('ar_32', 'type', [None], ' must be the name of a class, got None'),
        ('ar_32', 'input_dropout', [-1, 2.5, float('nan')], FRACTION),
        ('ar_32', 'backbone.dropout', [-1, 2.5, 10**9, float('nan')], FRACTION),
        ('ar_32', 'backbone.drop_path', [-0.1, 1.1], FRACTION),
        ('ar_32', 'conditioner.dropout', [-1, 2.5, float('nan')], FRACTION),
        ('maskgit_32', 'head.label_smoothing', [-1, 2], FRACTION),
        ('ar_32', 'backbone.dim', [0], COUNT),
        ('ar_32', 'backbone.num_layers', [0], COUNT),
        ('ar_32', 'backbone.num_heads', [0], COUNT),
        ('maskgit_32', 'backbone.hidden', [0], r' must be a positive integer or None, got '),
        ('ar_32', 'backbone.grid', [[], [1, 1]], FOLLOWS),
        ('ar_32', 'conditioner.dim', [0], COUNT),
        ('ar_32', 'conditioner.dim', [7], FOLLOWS),
        ('ar_32', 'head.vocab_sizes', [[3]], FOLLOWS),
        ('ar_32', 'head.dim', [7], FOLLOWS),
        ('ar_32', 'factorization.codebook_sizes', [[], [0], [7]], FOLLOWS),
        ('ar_32', 'factorization.codebook_size', [0, 7], ': the tokenizer has 256 codes, not '),
        ('ar_32', 'head.embedding', [-1, [], {}, 'x'], ' must be one of TokenEmbedding'),
        ('var_32', 'head.norm', ['x', ''], ' must be one of rms_norm'),
        ('maskgit_32', 'visible_weight', [-1, float('nan')], r' must be a non-negative number'),
        (
            'ar_rq_32',
            'soft_targets',
            [dict(a=1), dict(temperature=0)],
            r' must be dict\(temperature',
        ),
        ('ar_32', 'image_size', [[], [32], [32, 32, 32]], ' must be 2 integers ≥ 1, got '),
        ('titok_ar_32', 'image_size', [64], ': .* only accepts 32x32'),
        ('ar_32', 'output_size', [[], [32], [1, 2, 3]], ' must be 2 integers ≥ 1, got '),
        ('ar_32', 'output_size', [0, [0, 1]], ' must be a positive integer or a list'),
    ],
)
def test_values_that_cannot_be(name, key, values, message):
    for value in values:
        with pytest.raises(UserError, match=f'^model.{key}{message}'):
            build(name, {f'model.{key}': value})


def test_what_follows_may_be_repeated():
    model = build('ar_32', {'model.factorization.codebook_sizes': [256]})
    grid, dim = list(model.grid), model.backbone.dim
    again = build('ar_32', {'model.backbone.grid': grid, 'model.conditioner.dim': dim})
    assert again.grid == model.grid
    assert build('ar_32', {'model.output_size': [16, 8]}).output_size == (16, 8)


def test_an_argument_of_a_part_that_is_not_built():
    with pytest.raises(UserError, match='model.factorization: .* has no argument `a`'):
        build('maskgit_32', {'model.factorization': dict(a=1)})


def test_an_argument_of_a_part_that_is_there_by_default():
    with pytest.raises(UserError, match='`Raster` in the order slot has no argument `a`; it has'):
        build('ar_32', {'model.order': dict(a=1)})


@pytest.mark.parametrize(
    ('key', 'values', 'message'),
    [
        ('choice_temperature', ['x', None, [1]], ' must be a number, got '),
        ('schedule', [3, None, [1]], ' must be a string or a list, each a string, got '),
        ('power', ['x', float('nan')], ' must be a number, got '),
        ('annealing', [3, ['a', 'b']], ' must be a list, each a number, got '),
        ('type', [3, dict(a=1)], ' must be the name of a sampler, got '),
    ],
)
def test_settings_of_samplers(key, values, message):
    for value in values:
        with pytest.raises(UserError, match=f'^sampling.{key}{message}'):
            build_sampler({'type': 'MaskedSampler', key: value})


def test_a_frozen_tokenizer_without_a_seed_has_the_default_one():
    weights = [
        build('ar_32', {'model.tokenizer.seed': seed}).tokenizer.encoder.conv_in.weight
        for seed in (None, 0, 1)
    ]
    assert weights[0].equal(weights[1]) and not weights[0].equal(weights[2])


def test_a_checkpoint_of_a_frozen_tokenizer_is_a_path():
    model = build('ar_32', {'model.tokenizer.checkpoint': 3})
    with pytest.raises(UserError, match='3 is not a path; pass the path of a file'):
        model.init_weights()
