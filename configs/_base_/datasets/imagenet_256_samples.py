# imagenet_256.py for generators. Testing fills the columns of Table 4: 50 samples per class against
# ADM's reference batch (docs/guides/evaluate.md).
_base_ = './imagenet_256.py'
val_evaluator = [dict(type='NegativeLogLikelihood')]
reference = '{{$OPENMAGVIT2_REFERENCE:data/VIRTUAL_imagenet256_labeled.npz}}'
test_evaluator = [
    dict(type='SampleFrechet', reference=reference),
    dict(type='SampleInceptionScore'),
    dict(type='SamplePrecisionRecall', reference=reference),
]
test_cfg = dict(type='GenerationLoop', num_per_class=50)
