"""Numbers of the official grouped, residual and multi-scale quantizers, with inputs and weights
from a formula.
"""

import pytest
import torch
from appendix import check, fill, sine
from torch.testing import assert_close

from openmagvit2.models.quantizers import LFQ, VQ, Grouped, MultiScale, Residual


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.replace('|', ' ').split()]


def near(found: torch.Tensor, wanted: float) -> None:
    assert_close(found.detach(), torch.tensor(wanted), atol=2e-6, rtol=1e-4)


def table() -> torch.Tensor:
    """E[k, c] = 0.8^k sin(0.7 (4 k + c)) (8, 4)."""
    return sine(8, 4, step=0.7) * 0.8 ** torch.arange(8)[:, None]


def residual(**settings) -> Residual:
    settings = dict(codebook_size=8, code_dim=4, l2_norm=False, restart_after=None) | settings
    quantizer = Residual(quantizer=dict(type='VQ', **settings), depth=3)
    quantizer.quantizer.embedding.weight.data.copy_(table())
    return quantizer


def latents() -> torch.Tensor:
    return sine(1, 2, 3, 4, step=0.37, shift=0.11).movedim(-1, 1)


RESIDUAL = numbers('0 6 5 | 0 3 5 | 1 6 7 | 6 6 6 | 2 7 6 | 0 3 7')


def test_residual():
    quantizer = residual()
    out = quantizer(latents())
    assert out.indices.shape == (1, 2, 3, 3) and out.indices.flatten().tolist() == RESIDUAL
    near(out.losses['commitment'], 0.109064)
    check(
        out.codes.movedim(1, -1),
        0.236583,
        0.614539,
        [0.091932, 0.665597, 0.926222, 0.75123],
        [0.580573, 1.015794, 0.973272, 0.473004],
    )
    indices, targets = quantizer.soft_codes(latents(), 0.5)
    assert indices.equal(out.indices) and targets.shape == (1, 6, 3, 8)
    assert_close(
        targets.flatten()[:4],
        torch.tensor([0.649054, 0.00001, 0.209687, 0.001954]),
        atol=2e-6,
        rtol=0,
    )


def test_residual_with_averages_moves_between_depths():
    quantizer = residual(ema_decay=0.99, ema_smoothing=1e-5)
    inner = quantizer.quantizer
    inner.code_sum.copy_(table())
    out = quantizer(latents())
    assert out.indices.flatten().tolist() == RESIDUAL and set(out.losses) == {'commitment'}
    near(out.losses['commitment'], 0.108211)
    assert_close(
        inner.code_count,
        torch.tensor([0.999702, 0.9801, 0.9801, 0.990099, 0.970299, 0.990299, 1.0298, 1.000199]),
        atol=2e-6,
        rtol=0,
    )
    check(
        inner.embedding.weight,
        0.0553,
        0.404702,
        [0.020108, 0.648669, 0.979988, 0.858283],
        [0.145737, 0.207437, 0.174359, 0.06187],
    )


class OfVar(torch.nn.Module):
    """Parameters under the official names, whose order the rule counts."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(8, 4)
        self.quant_resi = torch.nn.Module()
        self.quant_resi.qresi_ls = torch.nn.ModuleList(
            torch.nn.Conv2d(4, 4, 3, padding=1) for _ in range(4)
        )


def test_multi_scale():
    official = fill(OfVar())
    quantizer = MultiScale(
        quantizer=dict(type='VQ', codebook_size=8, code_dim=4, l2_norm=False), scales=(1, 2, 3)
    )
    quantizer.phi.load_state_dict(official.quant_resi.qresi_ls.state_dict())
    quantizer.quantizer.embedding.load_state_dict(official.embedding.state_dict())
    out = quantizer(sine(1, 4, 3, 3, step=0.37, shift=0.11))
    indices = numbers('3 | 4 3 4 4 | 3 4 4 3 3 4 3 3 2')
    assert out.indices.tolist() == [indices]
    first = quantizer.accumulate(None, out.indices[:, :1], 0)
    check(first, 0.018848, 0.309664, [0.399583, 0.398587, 0.40947, 0.418248])
    check(
        out.codes,
        0.016298,
        0.367588,
        [0.278076, -0.03773, 0.479346, 0.417848],
        [0.019689, -0.372411, -0.136304, 0.675697],
    )
    check(
        quantizer.teacher_inputs(out.indices),
        0.030798,
        0.299118,
        [0.408645, 0.173613, -0.147742, -0.404465],
        [-0.018038, -0.018271, 0.020066, 0.084616],
    )
    near(out.losses['codebook'] + 0.25 * out.losses['commitment'], 0.558876)


def test_multi_scale_of_signs():
    quantizer = MultiScale(
        quantizer=dict(type='LFQ', num_bits=4, spherical=True),
        scales=(1, 2, 3),
        num_phi=0,
        upsample='bilinear',
        gradient='scales',
    ).eval()
    out = quantizer(sine(1, 4, 3, 3, step=0.53, shift=0.11))
    assert out.indices.tolist() == [numbers('3 | 9 9 6 6 | 12 12 12 9 3 6 12 12 12')]
    check(out.codes, 0, 0.62361, [0.5, 0.5, 0.5, 1], [-1, -0.5, -0.5, -0.5])
    inputs = quantizer.teacher_inputs(out.indices)
    check(inputs, inputs.mean().item(), 0.604471, [0.5, 0.5, -0.5, -0.5], [0, 1, 0, -1])


def test_grouped():
    x = sine(1, 6, 2, 3, step=0.37, shift=0.11, scale=0.02).requires_grad_()
    out = Grouped(quantizer=dict(type='LFQ', num_bits=3), groups=2)(x)
    assert out.indices.flatten().tolist() == numbers('3 3 | 3 3 | 3 1 | 1 1 | 1 5 | 5 5')
    near(out.stats['per_sample_entropy'], 0.448064)
    near(out.stats['codebook_entropy'], 1.179299)
    near(out.losses['commitment'], 0.975477)
    (grad,) = torch.autograd.grad(out.losses['entropy'], x)
    check(
        grad,
        -0.262129,
        3.928877,
        [11.088638, -0.860878, -0.164358, -0.021731],
        [1.136861, 4.733584, -10.563586, -3.168815],
    )


@pytest.mark.parametrize(('groups', 'entropy'), [(6, 4.142304), (2, 4.122514)])
def test_entropy_in_groups(groups, entropy):
    z = sine(1, 4, 6, step=0.37, shift=0.11).transpose(1, 2)
    lfq = LFQ(
        num_bits=6,
        index_bits=[3, 3],
        spherical=True,
        bit_order='msb',
        temperature=1.0,
        entropy_eps=1e-8,
        entropy_groups=groups,
    )
    out = lfq(z)
    near(out.stats['per_sample_entropy'], 3.850337)
    near(out.stats['codebook_entropy'], entropy)
    assert out.indices[0].flatten().tolist() == numbers('7 7 | 7 0 | 0 1 | 7 7')
    assert lfq.codebook_sizes == (8, 8)


VQ_GRADIENTS = {
    # Of taming's order, of the paper's order: standard deviations and first numbers.
    True: (
        (0.03697, [-0.032518, 0.045274, -0.050792, -0.093645]),
        (0.009709, [-0.042729, -0.009458, 0.011606, 0.010468]),
    ),
    False: (
        (0.023927, [-0.03938, -0.017214, -0.038513, -0.046509]),
        (0.038837, [-0.170918, -0.037833, 0.046423, 0.041873]),
    ),
}


@pytest.mark.parametrize('legacy', [True, False])
def test_vq_of_either_order(legacy):
    vq = VQ(codebook_size=8, code_dim=4, l2_norm=False, legacy=legacy, restart_after=None)
    vq.embedding.weight.data.copy_(table())
    h = latents().requires_grad_()
    out = vq(h)
    assert out.indices.flatten().tolist() == numbers('0 0 1 6 2 0')
    loss = out.losses['codebook'] + 0.25 * out.losses['commitment']
    near(loss, 0.233876)
    w = torch.linspace(-1, 1, 24).reshape(out.codes.shape)
    (loss + (out.codes * w).mean()).backward()
    for gradient, (std, first) in zip(
        (h.grad, vq.embedding.weight.grad), VQ_GRADIENTS[legacy], strict=True
    ):
        check(gradient, gradient.mean().item(), std, first)


def test_vq_of_llamagen():
    vq = VQ(codebook_size=8, code_dim=4, entropy=True, restart_after=None)
    vq.embedding.weight.data.copy_(table())
    h = latents().requires_grad_()
    out = vq(h)
    assert out.indices.flatten().tolist() == numbers('0 7 1 6 2 7')
    first = out.codes.detach().flatten()[:4]
    assert_close(first, torch.tensor([0, 0.456364, 0.23927, -0.611318]), atol=2e-6, rtol=0)
    near(out.losses['codebook'], 0.017167)
    near(0.25 * out.losses['commitment'], 0.004292)
    near(out.losses['entropy'], -1.56066)
