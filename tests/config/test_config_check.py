"""Which keys and values a config may have."""

import pytest

from openmagvit2.config import load_config
from openmagvit2.errors import UserError

BASE = """
model = dict(
    type='VisualTokenizer',
    encoder=dict(type='CnnEncoder', channels=32),
    quantizer=dict(type='LFQ', num_bits=8),
    decoder=dict(type='CnnDecoder', channels=32))
train_cfg = dict(type='IterationLoop', max_iters=3)
default_hooks = dict(checkpoint=dict(type='ResumableCheckpointHook'))
train_dataloader = dict(num_workers=0, dataset=dict(type='ImageFolder', data_root='a'))
"""


@pytest.fixture
def load(tmp_path):
    """Loads the text of a file, with overrides."""

    def call(text: str, options: dict | None = None, base: str = BASE):
        (tmp_path / 'base.py').write_text(base)
        (tmp_path / 'a.py').write_text("_base_ = './base.py'\n" + text)
        return load_config(tmp_path / 'a.py', options)

    return call


@pytest.mark.parametrize(
    ('text', 'wanted'),
    [
        (
            'max_iters = 5',
            (
                r'`max_iters` at the top level: it is an argument of IterationLoop; did you mean '
                r'`train_cfg.max_iters`'
            ),
        ),
        ("quantizer = dict(type='FSQ', levels=[3])", r'did you mean `model.quantizer`'),
        ('num_bits = 4', r'did you mean `model.quantizer.num_bits`'),
        ("data_root = 'x'", r'did you mean `train_dataloader.dataset.data_root`'),
        ('defualt_hooks = dict()', r'did you mean `default_hooks`'),
        (
            "my_quantizer = dict(type='FSQ', levels=[3])",
            r'`my_quantizer` at the top level: a dict with a `type` is not built there',
        ),
        (
            "my_list = [dict(type='FSQ', levels=[3])]",
            r'`my_list` at the top level: a dict with a `type`',
        ),
        (
            "model = dict(quantizer_loss_weights=dict(x=dict(type='LFQ')))",
            r'model.training.quantizer_losses.x: No `LFQ` in the loss slot',
        ),
        (
            'env_cfg = dict(mp_cfg=dict(mp_start=3))',
            r'env_cfg.mp_cfg.mp_start.*did you mean `mp_start_method`',
        ),
    ],
)
def test_keys_that_do_nothing_are_errors(load, text, wanted):
    with pytest.raises(UserError, match=wanted):
        load(text)


def test_variables_are_free(load):
    loaded = load('my_note = "a"\nmy_sizes = [3, 4]\nmy_dict = dict(a=1)\n')
    assert (loaded.my_note, loaded.my_sizes, loaded.my_dict.a) == ('a', [3, 4], 1)


def test_variables_that_a_file_uses_may_have_any_name(load, tmp_path):
    text = (
        "data_root = 'b'\npart = dict(type='FSQ', levels=[3])\ntrain_dataloader = "
        'dict(dataset=dict(data_root=data_root))\n'
    )
    loaded = load(text + 'model = dict(quantizer=part)\n')
    assert loaded.train_dataloader.dataset.data_root == 'b' and loaded.model.quantizer.levels == [3]
    # An override of the variable would change nothing.
    with pytest.raises(UserError, match='`data_root` is a variable of the config file'):
        load(text, {'data_root': 'c'})
    loaded.dump(tmp_path / 'merged.py')
    assert load_config(tmp_path / 'merged.py').to_dict() == loaded.to_dict()


def test_a_variable_of_the_base_that_a_child_only_writes(load):
    base = "data_root = 'a'\n" + BASE.replace("data_root='a'", 'data_root=data_root')
    assert load('', base=base).train_dataloader.dataset.data_root == 'a'
    with pytest.raises(UserError, match='did you mean `train_dataloader.dataset.data_root`'):
        load("data_root = 'b'", base=base)
    below = load(
        "train_dataloader = dict(dataset=dict(data_root='{{_base_.data_root}}/b'))", base=base
    )
    assert below.train_dataloader.dataset.data_root == 'a/b'


def test_merged_configs_of_before_show_no_use_of_a_variable(load):
    assert load("data_root = 'a'\n").data_root == 'a'


@pytest.mark.parametrize('seed', [-1, 2**32, 1.5, 'x', None, True])
def test_seeds(load, seed):
    with pytest.raises(UserError, match=r'^seed must be an integer from 0 to 4294967295, got '):
        load(f'seed = {seed!r}')
    if seed is not None:
        with pytest.raises(UserError, match=r'^train_dataloader.dataset.seed must be'):
            load('', {'train_dataloader.dataset.seed': seed})
    assert load(f'seed = {2**32 - 1}').seed == 2**32 - 1


@pytest.mark.parametrize(
    ('key', 'value'), [('persistent_workers', True), ('prefetch_factor', 2), ('timeout', 3)]
)
def test_settings_of_workers_need_workers(load, key, value):
    message = (
        f'train_dataloader.{key}={value} needs worker processes, and '
        f'train_dataloader.num_workers is 0'
    )
    with pytest.raises(UserError, match=message):
        load(f'train_dataloader = dict({key}={value})')
    assert (
        load(f'train_dataloader = dict({key}={value}, num_workers=2)').train_dataloader[key]
        == value
    )
    with pytest.raises(UserError, match='train_dataloader.num_workers must be a non-negative'):
        load('train_dataloader = dict(num_workers=-1)')


GAME = dict(type='Adversarial', discriminator=dict(type='PatchGAN'))


@pytest.mark.parametrize(
    ('options', 'wanted'),
    [
        ({'model.training.adversarial.discriminator.chanels': 3}, r'did you mean `channels`'),
        ({'model.training.adversarial.strat': 3}, r'did you mean `start`'),
        ({'model.training.freze': ['encoder']}, r'model.training.freze`: did you mean `freeze`'),
        ({'model.training': dict(adversarial=GAME, freze=())}, r'`model.training.freze`'),
        ({'model.training.losses.l2': dict(type='L2Loss', wait=3)}, r'did you mean `weight`'),
        ({'model.training.losses.perceptul': None}, r'model.training.losses.perceptul'),
        (
            {
                'model.training.losses.l2': dict(
                    type='L2Loss', weight=dict(type='LinearWeight', n=1)
                )
            },
            r'model.training.losses.l2.weight.n.*Known of LinearWeight: end, start, steps',
        ),
        (
            {'model.training.adversarial.regularizers': [dict(type='R1', wait=3)]},
            r'regularizers.0.wait`: did you mean `weight`',
        ),
        (
            {'model.quantizer.num_bits': dict(type='FSQ')},
            r'`model.quantizer.num_bits`: a dict with a `type` \(FSQ\) is not built there',
        ),
    ],
)
def test_classes_say_what_their_dicts_hold(load, options, wanted):
    game = f'model = dict(training=dict(losses=dict(), adversarial={GAME!r}))'
    with pytest.raises(UserError, match=wanted):
        load(game, options)


def test_parts_by_name_and_lists_of_parts(load):
    game = f'model = dict(training=dict(losses=dict(), adversarial={GAME!r}))'
    loaded = load(
        game,
        {
            'model.training.losses.l2.type': 'L2Loss',
            'model.training.losses.l2.weight': dict(type='LinearWeight', start=1, end=0, steps=2),
            'model.training.quantizer_losses': dict(entropy=0.2),
            'model.training.adversarial.regularizers': [dict(type='R1', weight=3, interval=2)],
            'model.training.adversarial.weight.type': 'AdaptiveWeight',
        },
    ).model.training
    assert loaded.losses.l2.weight.steps == 2
    assert loaded.adversarial.weight == dict(type='AdaptiveWeight')
    assert load('', {'model.training.quantizer_losses.entropy': 0.2}, base=loaded_text(loaded))


def loaded_text(training) -> str:
    return BASE.replace(
        "type='VisualTokenizer',", f"type='VisualTokenizer', training={training.to_dict()!r},"
    )


def test_a_changed_type_drops_keys_deep_inside(load):
    old = dict(type='Adversarial', regularizers=[dict(type='LeCAM', weight=0.5, decay=0.9)])
    old['discriminator'] = dict(type='PatchGAN', num_layers=2)
    base = BASE.replace(
        "type='VisualTokenizer',", f"type='VisualTokenizer', training=dict(adversarial={old!r}),"
    )
    options = {
        'model.training.adversarial.regularizers.0.type': 'R1',
        'model.training.adversarial.discriminator.type': 'BlurPatchGAN',
    }
    found = load('', options, base=base).model.training.adversarial
    # A weight is allowed in addition to the arguments of each class.
    assert found.regularizers == [dict(type='R1', weight=0.5)]
    assert found.discriminator == dict(type='BlurPatchGAN')


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('train_cfg.max_iters', -1, r'train_cfg\.max_iters must be a positive integer, got -1'),
        ('train_cfg.max_iters', 2.5, 'must be a positive integer, got 2.5'),
        ('train_cfg.max_iters', '3', "must be a positive integer, got '3'"),
        ('train_cfg.val_interval', 0, 'val_interval must be a positive integer'),
        ('global_batch_size', -4, 'global_batch_size must be a positive integer, got -4'),
        ('global_batch_size', '8', "global_batch_size must be a positive integer, got '8'"),
        ('default_hooks.checkpoint.interval', -1, r'checkpoint\.interval must be'),
        ('default_hooks', dict(chekpoint=dict(interval=3)), 'did you mean `checkpoint`'),
        ('optim_wrapper', dict(accumulative_counts=0), 'accumulative_counts must be a positive'),
        ('optim_wrapper', dict(clip_grad=1.0), r'clip_grad must be a dict such as dict\(max_norm'),
        ('optim_wrapper', dict(encoder=dict(clip_grad=1)), r'encoder\.clip_grad must be a dict'),
        ('randomness', dict(sed=1), r'Unknown config key `randomness\.sed`: did you mean `seed`'),
        ('env_cfg', None, 'env_cfg must be a dict, got None'),
        ('log_level', 'LOUD', 'log_level must be one of CRITICAL, .*DEBUG'),
        ('model.encoder.type', 3, r'model\.encoder\.type must be the name of a class, got 3'),
        (
            'val_dataloader.dataset.n',
            4,
            r'dataset has n=4, but no `type`: name a class of the dataset',
        ),
        ('param_scheduler', [dict(begn=1)], r'param_scheduler\.0 has begn=1, but no `type`'),
        ('param_scheduler', dict(gan=[dict(begn=1)]), r'param_scheduler\.gan\.0 has begn=1'),
        ('val_dataloader.batch_size', 0, 'val_dataloader.batch_size must be a positive integer'),
        ('env_cfg', dict(mp_cfg=dict(mp_start_method='frok')), 'one of None, fork, spawn, forks'),
        ('env_cfg', dict(dist_cfg=5), r'env_cfg\.dist_cfg must be a dict or None, got 5'),
        ('randomness', 5, 'randomness must be a dict or None, got 5'),
        ('load_from', 5, 'load_from must be the path of a checkpoint, got 5'),
        ('model', 3, 'model is in the model slot, whose parts are dicts with a `type`; got 3'),
        ('custom_hooks', ['X'], 'custom_hooks is in the hook slot, .* got .X.'),
        ('train_dataloader.dataset', 'x', r'dataset is in the dataset slot, .* got .x.'),
        ('train_dataloader', [1], r'train_dataloader must be a dict or None, got \[1\]'),
        ('optim_wrapper', 'Adam', "optim_wrapper must be a dict or None, got 'Adam'"),
        ('optim_wrapper.constructor', 'Mine', 'No `Mine` in the optimizer wrapper constructor slo'),
        ('optim_wrapper.constructor', 5, 'No `5` in the optimizer wrapper constructor slot, which'),
        ('default_scope', 'mmengine', "default_scope must be 'openmagvit2', .* got 'mmengine'"),
        ('val_dataloader.collate_fn', None, r'collate_fn must be a dict such as dict\(type='),
        ('val_dataloader.collate_fn', dict(type='abc'), 'No `abc` in the function slot, which has'),
        ('val_dataloader.batch_size', None, 'val_dataloader.batch_size must be a positive integer'),
        ('val_dataloader.dataset', None, 'dataset is None; set val_dataloader=None for no images'),
        ('val_dataloader.num_workers', 10**9, 'num_workers=10{9} is more than this machine can'),
        ('train_dataloader.sampler', {}, r'sampler must be a dict with a `type`, got {}'),
        ('train_dataloader.sampler', dict(a=1), r'sampler must be a dict with a `type`, got {'),
        ('train_dataloader.collate_fn', {}, r'collate_fn must be a dict with a `type`, got {}'),
        ('train_dataloader.dataset.pipeline', [{}], r'pipeline\.0 must be a dict with a `type`'),
        ('val_evaluator', [None], 'val_evaluator is in the metric slot, .* got None'),
        ('val_evaluator', [[]], r'val_evaluator is in the metric slot, .* got \[\]'),
        ('val_evaluator', [{}], r'val_evaluator\.0 must be a dict with a `type`, got {}'),
        ('default_hooks', [], r'default_hooks must be a dict or None, got \[\]'),
        ('default_hooks', dict(logger={}), r'default_hooks\.logger must be a dict with a `type`'),
        ('default_hooks', dict(logger=[]), r'default_hooks\.logger must be a dict of the hook sl'),
        ('visualizer', [], r'visualizer must be a dict or None, got \[\]'),
        ('env_cfg', dict(resource_limit=None), 'resource_limit must be a positive integer'),
        ('log_processor', [], r'log_processor must be a dict or None, got \[\]'),
        ('val_cfg', dict(a=1), 'val_cfg has a=1, but no `type`: name a class of the loop slot'),
        ('env_cfg', dict(mp_cfg=None), r'env_cfg\.mp_cfg must be a dict, got None'),
        ('env_cfg', dict(mp_cfg=dict(opencv_num_threads='x')), 'threads must be a non-negative'),
        ('custom_hooks', [None], 'custom_hooks is in the hook slot, .* got None'),
        ('val_dataloader.sampler', dict(type=None), r'sampler\.type must be the name of a class'),
        ('default_hooks', dict(logger=dict(type=None)), r'logger\.type must be the name of a clas'),
        ('train_dataloader.shuffle', True, r'Unknown config key `train_dataloader\.shuffle`'),
        ('train_dataloader.generator', 3, r'Unknown config key `train_dataloader\.generator`'),
        ('sync_bn', 'x', 'sync_bn must be one of None, torch, mmcv, got .x.'),
        ('train_dataloader.drop_last', None, r'drop_last must be True or False, got None'),
        ('train_dataloader.timeout', -1, r'timeout must be a non-negative number, got -1'),
        ('train_dataloader.timeout', None, r'timeout must be a non-negative number, got None'),
        ('train_dataloader.prefetch_factor', 0, r'prefetch_factor must be a positive integer'),
        ('train_dataloader.num_batch_per_epoch', 0, 'num_batch_per_epoch must be an integer from'),
        ('train_dataloader.worker_init_fn', 'x', r'worker_init_fn must be a dict, got'),
        ('train_dataloader.worker_init_fn', None, r'worker_init_fn must be a dict.*, got None'),
        ('train_dataloader.worker_init_fn', dict(type='no'), 'No `no` in the function slot'),
        ('val_dataloader.batch_sampler', 'x', r'batch_sampler must be a dict or None, got .x.'),
        ('val_dataloader.batch_sampler', {}, r'batch_sampler must be a dict with a `type`'),
        ('train_dataloader.multiprocessing_context', 'x', 'context must be one of None, fork, sp'),
        ('train_dataloader.multiprocessing_context', 'spawn', 'needs worker processes, and train'),
        ('custom_hooks', dict(type='SampleGridHook'), 'custom_hooks must be a list of dicts, got'),
        ('custom_hooks', [dict(type='SampleGridHook', priority='x')], r'priority must be an int'),
        (
            'custom_hooks',
            [dict(type='SampleGridHook', priority=101)],
            r'0\.priority must be an int',
        ),
        (
            'optim_wrapper',
            dict(clip_grad=dict(max_norm=1, norm_type=0)),
            'norm_type must be a numb',
        ),
        ('visualizer', {}, r'visualizer must be a dict with a `type`, got {}'),
        ('visualizer', dict(vis_backends=[]), r'visualizer must be a dict with a `type`'),
        (
            'visualizer',
            dict(type='Visualizer', vis_backends=[{}]),
            r'vis_backends\.0 must be a dict',
        ),
        ('randomness', dict(deterministic='x'), 'deterministic must be True or False, got .x.'),
        ('env_cfg', dict(cudnn_benchmark=3), 'cudnn_benchmark must be True or False, got 3'),
        ('work_dir', 5, 'work_dir must be the path of a folder, got 5'),
        ('log_processor', dict(mean_pattern=5), 'mean_pattern must be a regular expression, got 5'),
        (
            'param_scheduler',
            [dict(type='WarmupDecayLR', final=-1)],
            r'param_scheduler\.0\.final must be a non-negative number, got -1',
        ),
        ('val_dataloader.dataset', {}, r'dataset must be a dict with a `type`, got {}'),
        ('val_dataloader.dataset', dict(pipeline=[]), r'dataset must be a dict with a `type`'),
        ('optim_wrapper', dict(clip_grad={}), r'clip_grad must be a dict such as dict\(max_norm'),
        ('optim_wrapper', dict(clip_grad=dict(type='a')), r'clip_grad\.type must be one of norm'),
        ('optim_wrapper', dict(clip_grad=dict(max_nrm=1)), r'`optim_wrapper\.clip_grad\.max_nrm`'),
        ('optim_wrapper', dict(clip_grad=dict(max_norm=-1)), r'max_norm must be a number above 0'),
        ('optim_wrapper', dict(clip_grad=dict(max_norm='x')), r'max_norm must be a number above'),
        ('optim_wrapper', dict(clip_grad=dict(type='value')), r'clip_value must be .*, got None'),
        (
            'optim_wrapper',
            dict(a=dict(clip_grad=dict(max_norm=1, norm_type=None))),
            r'optim_wrapper\.a\.clip_grad\.norm_type must be a number, got None',
        ),
        (
            'log_processor',
            dict(type='LogProcessor', by_epoch='x'),
            'by_epoch must be True or False',
        ),
        ('log_processor', dict(type='LogProcessor', window_size=0), 'window_size must be a pos'),
        (
            'val_dataloader.sampler',
            dict(type='DefaultSampler', shuffle='no'),
            r"sampler\.shuffle must be True or False, got 'no'",
        ),
        (
            'custom_hooks',
            [dict(type='SampleGridHook', num_per_class=10**9)],
            r'custom_hooks\.0\.num_per_class must be an integer from 1 to 100, got 10{9}\.',
        ),
        (
            'custom_hooks',
            [dict(type='ReconstructionGridHook', num_images=0)],
            r'custom_hooks\.0\.num_images must be an integer from 1 to 100, got 0\.',
        ),
    ],
)
def test_values_that_end_in_a_traceback_or_in_silence(load, key, value, message):
    with pytest.raises(UserError, match=message):
        load('', {key: value})


def test_values_that_are_meant(load):
    options = {'train_cfg.max_iters': 1e5, 'train_cfg.val_interval': None, 'log_level': 'WARNING'}
    hooks = dict(checkpoint=None, mine=dict(type='CheckpointHook'))
    config = load('', options | dict(default_hooks=hooks, global_batch_size=4))
    assert config.train_cfg.max_iters == 1e5 and config.default_hooks.checkpoint is None


@pytest.mark.parametrize(
    ('key', 'meant'),
    [('max_iters', 'train_cfg.max_iters'), ('data_root', 'train_dataloader.dataset.data_root')],
)
def test_arguments_of_a_class_on_the_command_line(load, key, meant):
    with pytest.raises(UserError, match=f'an argument of .*did you mean `{meant}`'):
        load('', {key: 5})


def test_an_unknown_optimizer_lists_those_of_torch(load):
    options = {'optim_wrapper.autoencoder.optimizer': dict(type='Adamm')}
    with pytest.raises(UserError, match='No `Adamm` in the optimizer slot, which has: Adam'):
        load('', options)
