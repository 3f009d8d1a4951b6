"""The assembled tokenizer: parameter counts, swapped parts, losses."""

import pytest
import torch

from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.registry import MODELS, QUANTIZERS

SMALL = dict(channels=32, channel_multipliers=(1, 2), num_res_blocks=1)


def small(quantizer: dict, **kwargs) -> torch.nn.Module:
    encoder, decoder = dict(type='CnnEncoder', **SMALL), dict(type='CnnDecoder', **SMALL)
    return MODELS.build(
        dict(
            type='VisualTokenizer', encoder=encoder, quantizer=quantizer, decoder=decoder, **kwargs
        )
    )


@pytest.mark.parametrize(
    'quantizer',
    [
        dict(type='LFQ', num_bits=8),
        dict(type='VQ', codebook_size=64),
        dict(type='FSQ', levels=[5, 4, 3]),
    ],
)
def test_quantizers_swap_without_other_changes(quantizer):
    model = small(quantizer).eval()
    image = torch.rand(2, 3, 16, 24) * 2 - 1
    out = model.encode(image)
    assert out.indices.shape == (2, 8, 12) and out.indices.dtype == torch.int64
    assert torch.allclose(model.decode_indices(out.indices), model.reconstruct(image), atol=1e-4)


@pytest.mark.parametrize(
    ('quantizer', 'sizes'),
    [
        (dict(type='VQ', codebook_size=64), (64,)),
        (dict(type='LFQ', num_bits=8, index_bits=[2, 6], entropy_groups=2), (4, 64)),
    ],
)
def test_a_metric_of_version_1_finds_the_size_of_the_codebook(quantizer, sizes):
    model = small(quantizer).eval()
    (sample,) = model.val_step(dict(image=torch.zeros(1, 3, 8, 8), index=torch.zeros(1)))
    found = sample['codebook_size'], sample['num_codebooks'], sample['codebook_sizes']
    assert found == (sizes[0], len(sizes), sizes)


def test_full_size_counts():
    with torch.device('meta'):
        model = MODELS.build(load_config('configs/_base_/models/lfq_256.py').model)
    count = {
        name: sum(p.numel() for p in getattr(model, name).parameters())
        for name in ('encoder', 'decoder', 'discriminator')
    }
    assert count == dict(encoder=49_751_442, decoder=65_376_387, discriminator=2_765_633)


def test_weight_of_a_loss_that_is_not_emitted():
    model = small(
        dict(type='VQ', codebook_size=64), training=dict(quantizer_losses=dict(entropy=0.5))
    ).train()
    image = torch.rand(1, 3, 16, 16)
    out, quantized = model.autoencoder(image)
    with pytest.raises(ValueError, match='training.quantizer_losses.entropy: VQ emits no such'):
        model.autoencoder_terms(image, out, quantized, iteration=0)


def test_error_names_slot_and_nearest():
    with pytest.raises(ValueError, match=r'No `LFQQ` in the quantizer slot, which has: LFQ'):
        QUANTIZERS.build(dict(type='LFQQ'))
    with pytest.raises(ValueError, match='`CnnEncoder` is in the encoder slot'):
        QUANTIZERS.build(dict(type='CnnEncoder'))


@pytest.mark.parametrize(
    ('kind', 'given', 'missing'),
    [('Grouped', {}, 'quantizer, groups'), ('Residual', dict(depth=2), 'quantizer')],
)
def test_a_part_without_an_argument_it_needs_names_it(kind, given, missing):
    with pytest.raises(UserError, match=f'`{kind}` in the quantizer slot needs {missing}: '):
        QUANTIZERS.build(dict(type=kind, **given))
