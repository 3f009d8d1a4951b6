"""Show-o and Cosmos through their converters, from each official layout, against official code."""

import pytest
import torch
from appendix import GOLDENS
from official_networks import arrays, near, same

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours

SHOW_O = {
    'model.encoder.channel_multipliers': (2, 1),
    'model.encoder.num_res_blocks': (1, 2),
    'model.decoder.channel_multipliers': (1, 1),
    'model.decoder.num_res_blocks': (2, 1),
    'model.quantizer.num_bits': 6,
    'model.quantizer.entropy_groups': 6,
    'model.quantizer.temperature': 1.0,
    'model.quantizer.projection': 6,
}
COSMOS = {
    'model.encoder.channel_multipliers': (1, 2, 1),
    'model.decoder.channel_multipliers': (1, 2, 1),
    'model.quantizer.levels': (4, 5, 3),
}


def read(*names: str) -> dict:
    state: dict = {}
    for name in names:
        state |= read_checkpoint(GOLDENS / 'systems' / name)['state_dict']
    return state


def check_tokenizer(model, case) -> torch.Tensor:
    x = case['x'].requires_grad_()
    z = model.encoder(x)
    near(model.quantizer.projected(z), case['z'])
    out = model.eval().quantizer(z)
    assert out.indices.equal(case['indices'])
    recon = model.decode(out.codes)
    near(recon, case['recon'])
    (recon * torch.linspace(-1, 1, recon.numel()).view_as(recon)).mean().backward()
    torch.testing.assert_close(
        x.grad, case['grad_x'], atol=1e-4 * case['grad_x'].abs().max().item(), rtol=0
    )


@pytest.mark.parametrize('kind', ['ckpt', 'safetensors'])
def test_show_o(kind):
    model, case = init_model('tiny/show_o_32', cfg_options=SHOW_O), arrays('showo_tiny')
    state = read(f'showo_tiny.{kind}')
    ours, _ = to_ours(state, model)
    model.load_state_dict(ours['state_dict'], strict=False)
    back = to_official(ours, model)[0]['state_dict']
    same(back, state)
    check_tokenizer(model, case)
    z = case['z'].requires_grad_()
    out = model.quantizer.train().quantize(z)
    terms = dict(
        grad_entropy=0.1 / 6 * out.losses['entropy'],
        grad_commit=0.075 * out.losses['commitment'],
        grad_codes=(out.codes * torch.linspace(-1, 1, z.numel()).view_as(z)).mean(),
    )
    near(terms['grad_entropy'], case['entropy_loss'])
    near(0.125 * out.losses['commitment'], case['quantizer_loss'])
    for name, term in terms.items():
        (found,) = torch.autograd.grad(term, z, retain_graph=True)
        scale = case[name].abs().max().item()
        torch.testing.assert_close(found, case[name], atol=1e-4 * scale, rtol=0)


@pytest.mark.parametrize(
    'files', [('cosmos_tiny.ckpt',), ('cosmos_tiny_encoder.jit', 'cosmos_tiny_decoder.jit')]
)
def test_cosmos(files):
    model, case = init_model('tiny/cosmos_32', cfg_options=COSMOS), arrays('cosmos_tiny')
    ours, _ = to_ours(read(*files), model)
    assert {x.dtype for x in ours['state_dict'].values()} == {torch.float32}
    model.load_state_dict(ours['state_dict'], strict=False)
    native = read('cosmos_tiny.ckpt')
    back = to_official(ours, model)[0]['state_dict']
    assert back.keys() == native.keys()
    assert all(back[k].equal(native[k].float()) for k in native)
    check_tokenizer(model, case)
