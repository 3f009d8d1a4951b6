"""A tokenizer checks what users pass to it, and what a damaged one returns, before it could pass
for a result.
"""

import numpy as np
import pytest
import torch

from openmagvit2.apis import Tokenizer
from openmagvit2.registry import MODELS

SMALL = dict(channels=32, channel_multipliers=(1, 2), num_res_blocks=1)
QUANTIZERS = [
    dict(type='LFQ', num_bits=6),
    dict(type='VQ', codebook_size=60),
    dict(type='FSQ', levels=[5, 4, 3]),
]


def tokenizer(quantizer: dict) -> torch.nn.Module:
    torch.manual_seed(0)
    encoder, decoder = dict(type='CnnEncoder', **SMALL), dict(type='CnnDecoder', **SMALL)
    return MODELS.build(
        dict(type='VisualTokenizer', encoder=encoder, quantizer=quantizer, decoder=decoder)
    ).eval()


@pytest.mark.parametrize('quantizer', QUANTIZERS, ids=lambda quantizer: quantizer['type'])
def test_indices_are_checked(quantizer):
    model = tokenizer(quantizer)
    size, good = model.quantizer.codebook_size, torch.zeros(1, 2, 2, dtype=torch.int64)
    for decode in (model.decode_indices, Tokenizer(model).decode):
        for value in (-1, size, size + 1000, -(2**40)):
            wrong = good.clone()
            wrong[0, 1, 1] = value
            with pytest.raises(ValueError, match=rf'from 0 to {size - 1} .* got {value}\.'):
                decode(wrong)
        for wrong, message in (
            (good.float(), r'integers \(int64\), got torch.float32'),
            (good.bool(), 'got torch.bool'),
            (good[0, 0], r'must have the shape \(B, h, w\), got \(2,\)'),
            (good[None], r'got \(1, 1, 2, 2\)'),
        ):
            with pytest.raises(ValueError, match=message):
                decode(wrong)
    last = torch.full_like(good, size - 1)
    for kind in (torch.uint8, torch.int16, torch.int32):
        assert np.array_equal(Tokenizer(model).decode(last.to(kind)), Tokenizer(model).decode(last))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('quantizer', QUANTIZERS, ids=lambda quantizer: quantizer['type'])
def test_a_damaged_encoder_has_no_metrics(quantizer, value):
    model = tokenizer(quantizer)
    image = torch.randint(
        256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    data = dict(image=image, index=torch.arange(8, 12))
    assert model.val_step(data)[0]['indices'].shape == (4, 4, 4)
    assert model.encode(image / 127.5 - 1).finite
    # A bias: all of one channel of the latents.
    list(model.encoder.parameters())[-1].data[0] = value
    with pytest.raises(
        ValueError,
        match=(
            r'encoder outputs NaN or infinity for the batch of images 8, 9, 10, …: '
            r'the weights'
        ),
    ):
        model.val_step(data)
    with pytest.raises(ValueError, match='for a batch of images:'):
        model.val_step(dict(image=image))
    # In training nothing waits for the device.
    assert model.train().encode(image / 127.5 - 1).finite is None


def test_a_damaged_decoder_has_no_metrics():
    model = tokenizer(QUANTIZERS[0])
    model.decoder.last_layer.data[0, 0, 0, 0] = float('nan')
    with pytest.raises(
        ValueError, match='The decoder outputs NaN or infinity for a batch of images'
    ):
        model.val_step(dict(image=torch.zeros(1, 3, 8, 8, dtype=torch.uint8)))
