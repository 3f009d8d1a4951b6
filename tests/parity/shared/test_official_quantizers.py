"""Grouped, residual and multi-scale quantizers against the official modules."""

import pytest
import torch
from appendix import GOLDENS, golden, golden_weights
from torch.testing import assert_close

from openmagvit2.models.factorization import TokenFactorization
from openmagvit2.models.quantizers import LFQ, Grouped, MultiScale, Residual


def near(found, wanted) -> None:
    assert_close(found.detach(), wanted.reshape(found.shape), atol=1e-4, rtol=1e-4)


def weights(codes: torch.Tensor) -> torch.Tensor:
    return torch.linspace(-1, 1, codes.numel()).reshape(codes.shape)


@pytest.mark.parametrize(('groups', 'bits'), [(4, 6), (3, 8)])
def test_wetok_groups(groups, bits):
    g = golden(f'systems/wetok_gq_{groups}x{bits}')
    x = g['x'].requires_grad_()
    quantizer = Grouped(quantizer=dict(type='LFQ', num_bits=bits), groups=groups)
    out = quantizer(x)
    assert out.indices.equal(g['indices'])
    near(out.codes, g['quantized'])
    near(out.losses['entropy'], g['entropy_loss'])
    near(out.losses['commitment'], g['commitment'])
    near(out.stats['per_sample_entropy'], g['per_sample_entropy'])
    near(out.stats['codebook_entropy'], g['codebook_entropy'])
    loss = 0.1 * out.losses['entropy'] + 0.25 * out.losses['commitment']
    (loss + (out.codes * weights(out.codes)).mean()).backward()
    near(x.grad, g['grad'])
    cut = TokenFactorization(
        bits=g['factorized_bits'].tolist(), codebook_sizes=quantizer.codebook_sizes
    )
    assert cut.split(out.indices).flatten().equal(g['sub_indices'].flatten())
    assert cut.merge(cut.split(out.indices), out.indices.shape[1:]).equal(out.indices)


def test_wetok_tokenizer():
    g = golden('systems/wetok_tiny')
    quantizer = Grouped(quantizer=dict(type='LFQ', num_bits=4), groups=3).eval()
    out = quantizer(g['z'])
    assert out.indices.equal(g['indices'])
    near(out.codes, g['codes'])
    near(quantizer.indices_to_codes(g['indices']), g['codes'])


def rqvae(**settings) -> Residual:
    state = golden_weights('systems/rqvae_tiny')
    table = dict(type='VQ', codebook_size=32, code_dim=16, l2_norm=False, restart_after=None)
    quantizer = Residual(
        quantizer=dict(table, ema_decay=0.99, ema_smoothing=1e-5), depth=4, **settings
    )
    with torch.no_grad():
        quantizer.quantizer.embedding.weight.copy_(state['quantizer.codebooks.0.weight'][:-1])
        quantizer.quantizer.code_count.copy_(state['quantizer.codebooks.0.cluster_size_ema'])
        quantizer.quantizer.code_sum.copy_(state['quantizer.codebooks.0.embed_ema'])
    return quantizer


def test_rqvae():
    g, quantizer = golden('systems/rqvae_tiny'), rqvae().eval()
    out = quantizer(g['z'])
    assert out.indices.equal(g['codes'])
    sums = g['partial_sums'].movedim(-1, 2)
    near(out.codes, sums[-1])
    for depth in range(1, 5):
        near(quantizer.indices_to_codes(g['codes'][..., :depth]), sums[depth - 1])
    near(quantizer.rows(g['codes']).sum(2), g['embedded'].flatten(1, 2))
    indices, targets = quantizer.soft_codes(g['z'], 0.5)
    assert indices.equal(g['codes'])
    near(targets, g['soft_codes_temp_0_5'])


def test_rqvae_training_pass_moves_the_table_between_depths():
    g, quantizer = golden('systems/rqvae_tiny'), rqvae().train()
    out = quantizer(g['z'])
    assert out.indices.equal(g['train_codes']) and not out.indices.equal(g['codes'])
    assert set(out.losses) == {'commitment'}
    near(out.losses['commitment'], g['train_commitment'])
    near(quantizer.quantizer.embedding.weight, g['train_weight_after'][:-1])
    near(quantizer.quantizer.code_count, g['train_cluster_size_after'])
    near(quantizer.quantizer.code_sum, g['train_embed_ema_after'])


def test_rqvae_projections():
    state = golden_weights('systems/rqvae_tiny')
    quantizer = rqvae(projection=20)
    for name, official in (('project_in', 'quant_conv'), ('project_out', 'post_quant_conv')):
        part = getattr(quantizer, name)
        assert part.weight.shape == state[f'{official}.weight'][..., 0].shape


def var() -> MultiScale:
    # A bare state dict.
    state = torch.load(GOLDENS / 'systems' / 'var_vae_tiny.ckpt', weights_only=True)
    quantizer = MultiScale(
        quantizer=dict(type='VQ', codebook_size=32, code_dim=8, l2_norm=False, restart_after=None),
        scales=(1, 2, 3),
        projection=8,
        projection_kernel=3,
    )
    names = {'embedding.': 'quantizer.embedding.', 'quant_resi.qresi_ls.': 'phi.'}
    ours = {'project_in.': 'quant_conv.', 'project_out.': 'post_quant_conv.'}
    quantizer.load_state_dict(
        {
            new + name.removeprefix(f'quantize.{old}'): value
            for old, new in names.items()
            for name, value in state.items()
            if name.startswith(f'quantize.{old}')
        }
        | {
            new + part: state[old + part]
            for new, old in ours.items()
            for part in ('weight', 'bias')
        }
    )
    return quantizer


@torch.no_grad()
def test_var():
    g, quantizer = golden('systems/var_vae_tiny'), var().eval()
    out = quantizer.quantize(g['z'])
    assert out.indices.equal(g['indices'])
    near(out.codes, g['codes_by_scale'][-1])
    near(quantizer.dequantize(g['indices']), g['codes_by_scale'][-1])
    near(quantizer.teacher_inputs(g['indices']), g['next_inputs'])
    total = None
    for s, part in enumerate(g['indices'].split(quantizer.groups, 1)):
        total = quantizer.accumulate(total, part, s)
        near(total, g['codes_by_scale'][s])


def test_var_losses_and_gradients():
    g, quantizer = golden('systems/var_vae_tiny'), var().train()
    losses = quantizer.quantize(g['z'].requires_grad_()).losses
    near(losses['codebook'], g['train_codebook'])
    near(losses['commitment'], g['train_commitment'])
    (losses['codebook'] + g['beta'].item() * losses['commitment']).backward()
    # The codes are straight through, so the picture adds nothing to these.
    near(quantizer.quantizer.embedding.weight.grad, g['train_grad_embedding'])
    near(quantizer.phi[0].weight.grad, g['train_grad_phi0'])


def test_infinity():
    g = golden('systems/infinity_vae_tiny')
    quantizer = MultiScale(
        quantizer=dict(type='LFQ', num_bits=8, spherical=True),
        scales=g['schedule'][:, 1:].tolist(),
        num_phi=0,
        upsample='bilinear',
        gradient='scales',
    )
    z = g['z'].requires_grad_()
    out = quantizer(z)
    bits = (g['bits'].long() << torch.arange(8)).sum(-1)
    assert out.indices.equal(bits)
    near(out.codes, g['codes'])
    near(quantizer.teacher_inputs(bits), g['next_inputs'])
    (out.codes * weights(out.codes)).mean().backward()
    near(z.grad, g['grad_z'])


@pytest.mark.parametrize(
    ('name', 'groups'), [('18g9', 18), ('18g9_group', 2), ('10g1', 10), ('12g6_t', 12)]
)
def test_bsq(name, groups):
    g = golden(f'systems/bsq_{name}')
    bits, size, temperature = (g[key].item() for key in ('bits', 'group_size', 'temperature'))
    settings = dict(
        num_bits=bits, spherical=True, bit_order='msb', temperature=temperature, entropy_eps=1e-8
    )
    raw = g['raw'].requires_grad_()
    z = raw.transpose(1, 2)
    weighted = dict(
        entropy_weights=(g['gamma0'].item(), g['gamma'].item()), gradient_scale=bits**-0.5
    )
    out = LFQ(**settings, **weighted, entropy_groups=groups)(z)
    loss, codes = out.losses['entropy'] * temperature, out.codes.transpose(1, 2)
    near(loss, g['loss'])
    (loss + (codes * weights(codes)).mean()).backward()
    near(raw.grad, g['grad_raw'])
    assert out.indices.equal(g['indices'])
    near(out.codes.transpose(1, 2), g['codes'])
    near(out.stats['per_sample_entropy'], g['per_sample_entropy'])
    near(out.stats['codebook_entropy'], g['codebook_entropy'])
    digits = LFQ(**settings, index_bits=[size] * (bits // size), entropy_groups=groups).eval()
    indices = digits(z).indices
    assert indices.flatten().equal(g['group_indices'].flatten())
    assert_close(digits.indices_to_codes(indices), digits(z).codes)
