import pytest
import torch
from torch.testing import assert_close

from openmagvit2.models.layers.iteration import one_iteration
from openmagvit2.models.quantizers import Residual


def make(depth: int = 3, **settings) -> Residual:
    torch.manual_seed(0)
    settings = dict(codebook_size=12, code_dim=4, l2_norm=False, restart_after=None) | settings
    quantizer = Residual(quantizer=dict(type='VQ', **settings), depth=depth)
    torch.nn.init.normal_(quantizer.quantizer.embedding.weight)
    return quantizer.train()


def latents(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(seed))


def test_losses_compare_the_sums_with_the_latents():
    quantizer, z = make(), latents().requires_grad_()
    out = quantizer(z)
    table = quantizer.quantizer.embedding.weight
    sums = table[out.indices].detach().cumsum(2)
    wanted = (z.transpose(1, 2)[:, :, None] - sums).square().mean()
    assert_close(out.losses, dict(codebook=wanted, commitment=wanted))
    (found,) = torch.autograd.grad(out.losses['commitment'], z, retain_graph=True)
    (gradient,) = torch.autograd.grad(wanted, z)
    assert_close(found, gradient)
    (found,) = torch.autograd.grad(out.losses['codebook'], table)
    assert found.abs().sum() > 0


def test_a_table_of_averages_refuses_micro_batches():
    alone, announced = make(ema_decay=0.9), make(ema_decay=0.9)
    alone(latents())
    with one_iteration(announced):
        announced(latents())
        # It has moved within the pass, as without announcement.
        for name, value in alone.state_dict().items():
            assert announced.state_dict()[name].equal(value)
        with pytest.raises(ValueError, match='set accumulative_counts to 1'):
            announced(latents(1))
    with one_iteration(announced):
        announced(latents(1))


@pytest.mark.parametrize('announced', [False, True])
def test_a_table_of_gradients_ages_once_an_iteration(announced):
    quantizer = make(restart_after=100, codebook_size=200)
    if announced:
        with one_iteration(quantizer):
            quantizer(latents())
            quantizer(latents(1))
    else:
        quantizer(latents())
    assert quantizer.quantizer.steps_unused.max() == 1


def test_soft_codes_are_drawn_from_their_distribution():
    quantizer, z = make(depth=2), torch.zeros(1, 4, 4000)
    uniform = torch.rand(1, 4000, 2, generator=torch.Generator().manual_seed(0))
    indices, targets = quantizer.soft_codes(z, 0.5, uniform)
    assert indices.shape == (1, 4000, 2) and targets.shape == (1, 4000, 2, 12)
    table = quantizer.quantizer.embedding.weight.detach()
    first = (-table.square().sum(1) / 0.5).softmax(0)
    assert_close(targets[0, 0, 0], first)
    drawn = torch.bincount(indices[0, :, 0], minlength=12) / 4000
    assert_close(drawn, first, atol=0.03, rtol=0)
    # The second depth sees what the drawn code left.
    rest = -table[indices[0, :, 0]]
    second = (-torch.cdist(rest, table).square() / 0.5).softmax(-1)
    assert_close(targets[0, :, 1], second, atol=1e-4, rtol=1e-3)
    assert indices.equal(quantizer.soft_codes(z, 0.5, uniform)[0])
    assert (
        indices.max() < 12 and quantizer.soft_codes(z, 0.5, uniform * 0 + 1 - 2**-24)[0].max() < 12
    )


def test_mistakes():
    with pytest.raises(ValueError, match='indices of LFQ have 2 digits; this wrapper needs 1'):
        Residual(quantizer=dict(type='LFQ', num_bits=4, index_bits=[2, 2]), depth=2)
    inner = dict(type='LFQ', num_bits=3)
    with pytest.raises(ValueError, match='Residual has no soft codes|LFQ has no soft codes'):
        Residual(quantizer=inner, depth=2).soft_codes(torch.zeros(1, 3, 2), 1.0)
