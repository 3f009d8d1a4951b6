"""Config values are checked against the annotations of the constructors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from openmagvit2.apis import init_model
from openmagvit2.config import load_config
from openmagvit2.config.annotations import fits, spoken
from openmagvit2.engine.optim.schedule import WarmupDecayLR
from openmagvit2.errors import UserError
from openmagvit2.models.encoders import CnnEncoder
from openmagvit2.models.tokenizers.training import Training
from openmagvit2.registry import HOOKS, MODELS
from openmagvit2.signatures import Count, annotations, whole_numbers

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'


@pytest.mark.parametrize(
    ('hint', 'right', 'wrong'),
    [
        (int, [3, 0, 1e4], [-1, 3.0, 1e4 + 0.5, True, '3', None]),
        (float, [3, -0.5], [True, '3', None]),
        (bool, [True], [1, 'no', None]),
        (str, ['a', ''], [3, ['a'], None]),
        (dict, [{}], [[], None, 'a']),
        (dict | None, [{}, None], [3]),
        (Sequence[int], [[1, 2], (1,), range(3), []], [1, '12', ['a'], [1.5]]),
        (int | Sequence[int], [1, [1, 2]], ['a', None]),
        (Sequence[str], [['a'], ()], ['abc', [1]]),
        (list[dict] | None, [[{}], None], [{}, [None]]),
        (Mapping[str, float], [{'a': 1}], [3, ['a']]),
        # A config cannot contain it, so the class itself has to check it.
        (Path | None, [3, 'a', None], []),
    ],
)
def test_a_value_is_of_a_type(hint, right, wrong):
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)


def test_types_in_words():
    assert spoken(int | Sequence[int] | None) == (
        'a non-negative integer or a list, each a non-negative integer or None'
    )
    assert spoken(Mapping[str, dict | None] | None) == 'a dict or None'


def test_arguments_of_base_classes_and_of_other_packages():
    class Mine(CnnEncoder):
        def __init__(self, *, depth: int, bias: 'Undefined' = None, **others) -> None:  # noqa: F821
            super().__init__(**others)

    found = annotations(Mine)
    assert found['channels'] is Count
    assert annotations(WarmupDecayLR)['last_step'] is Any
    assert 'depth' not in found
    assert 'others' not in found
    assert annotations(Training)['adversarial'] == dict | None


@pytest.mark.parametrize(
    ('config', 'key', 'value', 'message'),
    [
        ('lfq_32', 'model.encoder', None, 'must be a dict of the encoder slot, got None'),
        ('lfq_32', 'model.quantizer', 5, 'must be a dict of the quantizer slot, got 5'),
        ('lfq_32', 'model.decoder', ['a'], r"must be a dict of the decoder slot, got \['a'\]"),
        ('lfq_32', 'model.training', 'all', 'must be a dict or None, got .all.'),
        ('lfq_32', 'model.training.losses', 5, 'must be a dict of the loss slot or None, got 5'),
        ('lfq_32', 'model.training.losses.reconstruction', 5, 'must be a dict of the loss slot or'),
        ('lfq_32', 'model.training.quantizer_losses.entropy', 'a', 'a number or a dict of the los'),
        ('lfq_32', 'model.training.adversarial.regularizers', 5, 'must be a list, each a dict'),
        ('lfq_32', 'model.training.freeze', 'encoder', 'must be a list, each a string'),
        ('lfq_32', 'model.encoder.channels', 'many', "must be a positive integer, got 'many'"),
        ('lfq_32', 'model.decoder.channels', -1, 'must be a positive integer, got -1'),
        ('lfq_32', 'model.encoder.num_res_blocks', 0, 'must be a positive integer or a list'),
        (
            'lfq_32',
            'model.decoder.channel_multipliers',
            [1, 0],
            'must be a list, each a positive int',
        ),
        ('titok_stage1_32', 'model.decoder.num_heads', 0, 'must be a positive integer, got 0'),
        ('titok_stage1_32', 'model.encoder.initial_deviation', -1, 'a non-negative number, got'),
        ('lfq_32', 'model.encoder.bias', 'no', "must be True or False, got 'no'"),
        ('ar_32', 'model.tokenizer', None, 'must be a dict of the model slot, got None'),
        ('ar_32', 'model.tokenizer.quantizer', 5, 'must be a dict of the quantizer slot, got 5'),
        ('ar_32', 'model.backbone', 5, 'must be a dict of the backbone slot, got 5'),
        ('ar_32', 'model.conditioner.num_classes', 'ten', 'must be a positive integer'),
        ('ar_32', 'val_dataloader.dataset.num_images', 'all', 'a non-negative integer or'),
    ],
)
def test_a_value_of_another_type_is_one_sentence_with_its_key(config, key, value, message):
    with pytest.raises(UserError, match=rf'^{key} {message}|^{key} must be {message}'):
        load_config(TINY / f'{config}.py', {key: value})


@pytest.mark.parametrize('key', ['model.type', 'model.encoder.type'])
def test_a_type_that_is_no_name(key):
    with pytest.raises(UserError, match=f'^{key} must be the name of a class, got 5'):
        load_config(TINY / 'lfq_32.py', {key: 5})


@pytest.mark.parametrize('kind', ['', 'abc', 'os'])
def test_a_type_that_is_no_class(kind):
    with pytest.raises(UserError, match=f'^model.encoder: No `{kind}` in the encoder slot'):
        load_config(TINY / 'lfq_32.py', {'model.encoder.type': kind})


def test_1e3_is_a_whole_number_where_one_is_asked_for():
    """Such a float is accepted, and the class receives an int, also in lists."""
    options = {'model.encoder.channels': 1024.0, 'model.encoder.num_res_blocks': (1e3, 1, 1)}
    taken = whole_numbers(CnnEncoder, load_config(TINY / 'lfq_32.py', options).model.encoder)
    assert [taken['channels'], *taken['num_res_blocks']] == [1024, 1000, 1, 1]
    assert all(type(x) is int for x in (taken['channels'], *taken['num_res_blocks']))
    taken = whole_numbers(WarmupDecayLR, dict(warmup=1e3, warmup_start=1.0))
    assert type(taken['warmup']) is int and type(taken['warmup_start']) is float


def test_a_part_without_what_it_needs():
    with pytest.raises(UserError, match='`VisualTokenizer` in the model slot needs quantizer, dec'):
        MODELS.build(dict(type='VisualTokenizer', encoder=dict(type='CnnEncoder')))
    with pytest.raises(
        UserError, match='`SubmoduleEMAHook` in the hook slot has no argument `rate`'
    ):
        HOOKS.build(dict(type='SubmoduleEMAHook', rate=1))
    with pytest.raises(UserError, match='The model slot needs a dict with a `type`, got {}'):
        MODELS.build({})


@pytest.mark.parametrize('name', ['lfq_32', 'ar_32'])
@pytest.mark.parametrize('value', [dict(a=1), dict(mean=[1])], ids=str)
def test_a_preprocessor_without_its_type(name, value):
    path = TINY / f'{name}.py'
    with pytest.raises(UserError, match='The model slot needs a dict with a `type`, got'):
        init_model(path, cfg_options={'model.data_preprocessor': value})
