# Settings that all trainings share.
seed = 0
default_hooks = dict(
    runtime_info=dict(type='ScalarsHook'),
    logger=dict(type='IterationLoggerHook', interval=50),
    checkpoint=dict(type='ResumableCheckpointHook', interval=5000, max_keep=2),
    record=dict(type='MetricsRecordHook'))
log_processor = dict(type='LogProcessor', by_epoch=False, window_size=50)
# Written with its scope, because mmengine looks it up before it knows the default scope.
model_wrapper_cfg = dict(type='openmagvit2.RoleDDP')
val_cfg = dict(type='ValidationLoop')
env_cfg = dict(cudnn_benchmark=False)
