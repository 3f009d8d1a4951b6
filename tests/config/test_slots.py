"""Which slot each dict of a config configures."""

from openmagvit2.config.slots import Anything, class_of, walk
from openmagvit2.models.losses import Adversarial
from openmagvit2.models.quantizers import LFQ
from openmagvit2.models.tokenizers import VisualTokenizer
from openmagvit2.registry import LOSSES, QUANTIZERS


def test_a_walk_finds_every_dict_outer_ones_first():
    regularizers = [dict(type='LeCAM', weight=0.1), 3]
    game = dict(type='Adversarial', regularizers=regularizers)
    config = dict(
        model=dict(
            type='VisualTokenizer',
            quantizer=dict(type='LFQ', num_bits=4),
            training=dict(adversarial=game),
        ),
        optim_wrapper=dict(generator=dict(optimizer=dict(type='Adam'))),
    )
    found = {path: (place, class_of(place, node)) for path, node, place in walk(config)}
    assert list(found) == [
        '',
        'model',
        'model.quantizer',
        'model.training',
        'model.training.adversarial',
        'model.training.adversarial.regularizers.0',
        'optim_wrapper',
        'optim_wrapper.generator',
        'optim_wrapper.generator.optimizer',
    ]
    assert found[''] == (None, None) and found['optim_wrapper.generator'] == (None, None)
    assert found['model'][1] is VisualTokenizer
    assert found['model.quantizer'][0].registry is QUANTIZERS
    assert found['model.quantizer'][1] is LFQ
    assert found['model.training.adversarial'][1] is Adversarial
    assert found['model.training.adversarial.regularizers.0'][0].registry is LOSSES


def test_what_another_package_builds_is_not_looked_into():
    hook = dict(type='CheckpointHook', out_dir=dict(anything=dict(type='Nothing')))
    places = {path: place for path, _, place in walk(dict(custom_hooks=[hook]))}
    assert places['custom_hooks.0.out_dir'] is Anything
    assert places['custom_hooks.0.out_dir.anything'] is Anything
