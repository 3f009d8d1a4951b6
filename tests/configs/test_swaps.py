"""Parts of one system in another, by one line of a config."""

import itertools

import pytest
import torch

from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

LFQ = {'type': 'LFQ', 'num_bits': 8}
QUANTIZERS = {
    'LFQ': {},
    'VQ': {},
    'FSQ': {},
    'IBQ': {'codebook_size': 1024},
    'Grouped': {'quantizer': LFQ, 'groups': 2},
    'Residual': {'quantizer': LFQ, 'depth': 2},
}


@pytest.mark.parametrize('kind', QUANTIZERS)
def test_every_quantizer_trains_in_lfq_32(kind):
    options = {'model.quantizer.type': kind, 'optim_wrapper.dtype': 'float32'}
    options |= {f'model.quantizer.{key}': value for key, value in QUANTIZERS[kind].items()}
    config = load_config(config_path('tiny/lfq_32'), options)
    model = MODELS.build(config.model).train()
    assert type(model.quantizer).__name__ == kind
    settings = config.optim_wrapper.to_dict()
    constructor = dict(type=settings.pop('constructor'), optim_wrapper_cfg=settings)
    wrappers = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)
    before = model.encoder.conv_in.weight.detach().clone()
    data = dict(image=torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    for iteration in range(3):
        log = model.train_step(data, wrappers, iteration=iteration)
        assert log['loss'].isfinite() and log['disc_loss'].isfinite()
    assert not model.encoder.conv_in.weight.equal(before)


PAIRS = [
    'tiny/lfq_32',
    'tiny/ibq_32',
    'tiny/vit_vqgan_32',
    'tiny/titok_32',
    'tiny/bsq_32',
    'tiny/omni_tokenizer_32',
    'tiny/cosmos_32',
    'maskgit/vq_256',
]


@pytest.mark.parametrize(('encoder', 'decoder'), itertools.product(PAIRS, repeat=2))
def test_an_encoder_with_the_decoder_of_another(encoder, decoder):
    models = [load_config(config_path(name)).model for name in (encoder, decoder)]
    config = dict(models[0].to_dict(), decoder=models[1].decoder.to_dict(), training={})
    try:
        with torch.device('meta'):
            model = MODELS.build(config).eval().to('meta')
    except UserError as error:
        assert encoder != decoder
        assert str(error).count('. ') == 0 and 'model.' in str(error)
        return
    size = model.encoder.image_size or model.decoder.image_size or (32, 32)
    with torch.device('meta'), torch.no_grad():
        grid = model.encoder(torch.zeros(1, 3, *size)).shape[2:]
        codes = torch.zeros(1, model.quantizer.code_dim, *grid)
        assert model.decode(codes, size).shape == (1, 3, *size)
