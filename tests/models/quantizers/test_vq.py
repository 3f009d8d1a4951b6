"""VQ: losses computed by hand, moving averages, restarts, projections, and another library."""

import pytest
import torch
import torch.nn.functional as F
import vector_quantize_pytorch as other
from torch.testing import assert_close

from openmagvit2.models.quantizers import FSQ, LFQ, VQ


def latents(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('l2_norm', [False, True])
def test_losses_and_gradients_by_hand(l2_norm):
    vq = VQ(codebook_size=16, code_dim=4, l2_norm=l2_norm)
    torch.nn.init.normal_(vq.embedding.weight)
    z = latents(2, 4, 3, 3).requires_grad_()
    out = vq(z)
    x, table = z.detach().permute(0, 2, 3, 1).reshape(-1, 4), vq.embedding.weight.detach()
    if l2_norm:
        x, table = F.normalize(x, dim=-1), F.normalize(table, dim=-1)
    rows = torch.cdist(x.double(), table.double()).argmin(-1)
    assert out.indices.flatten().equal(rows)
    error = (x - table[rows]).square().mean()
    assert_close(out.losses, dict(codebook=error, commitment=error))
    (grad,) = torch.autograd.grad(out.losses['codebook'], vq.embedding.weight, retain_graph=True)
    assert (
        grad.abs().sum() > 0
        and torch.autograd.grad(out.losses['codebook'], z, allow_unused=True, retain_graph=True)[0]
        is None
    )
    assert (
        torch.autograd.grad(out.losses['commitment'], vq.embedding.weight, allow_unused=True)[0]
        is None
    )


def test_legacy_puts_the_weight_of_the_commitment_on_the_table():
    z = latents(1, 4, 5).requires_grad_()
    vq = VQ(codebook_size=8, code_dim=4, legacy=True)
    losses = vq(z).losses
    assert torch.autograd.grad(losses['commitment'], vq.embedding.weight)[0].abs().sum() > 0
    assert torch.autograd.grad(losses['codebook'], z)[0].abs().sum() > 0


def test_entropy_by_hand():
    vq = VQ(codebook_size=8, code_dim=4, entropy=True, entropy_temperature=0.5)
    z = latents(2, 4, 6)
    x, table = (
        F.normalize(z.transpose(1, 2).reshape(-1, 4), dim=-1).double(),
        vq.table.detach().double(),
    )
    p = (-torch.cdist(x, table).square() / 0.5).softmax(-1)
    mean = p.mean(0)
    expected = -(p * p.log()).sum(-1).mean() + (mean * (mean + 1e-5).log()).sum()
    assert_close(vq(z).losses['entropy'].double(), expected, atol=1e-5, rtol=0)


def test_averaged_table_follows_its_latents():
    vq = VQ(codebook_size=2, code_dim=2, l2_norm=False, ema_decay=0.5, restart_after=None)
    vq.embedding.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    vq.code_sum.copy_(vq.embedding.weight)
    z = torch.tensor([[2.0, 0.1], [4.0, -0.1], [0.0, 3.0]]).T[None]
    out = vq(z)
    assert set(out.losses) == {'commitment'} and out.indices.tolist() == [[0, 0, 1]]
    # Counts 1 -> (1 + 2) / 2 and (1 + 1) / 2; sums (1, 0) -> (1 + 6, 0) / 2 and (0, 1) -> (0, 1 +
    # 3) / 2.
    assert_close(vq.embedding.weight, torch.tensor([[3.5 / 1.5, 0.0], [0.0, 2.0]]))
    assert not vq.embedding.weight.requires_grad
    before = vq.embedding.weight.clone()
    vq.eval()(z)
    assert vq.embedding.weight.equal(before)


def usage(vq: VQ, z: torch.Tensor) -> float:
    return len(vq.eval()(z).indices.unique()) / vq.codebook_size


@pytest.mark.parametrize('ema_decay', [None, 0.9])
def test_restarts_repair_a_collapsed_codebook(ema_decay):
    torch.manual_seed(0)
    vq = VQ(codebook_size=128, code_dim=8, l2_norm=False, ema_decay=ema_decay, restart_after=5)
    # Latents far from all rows but a few: the classic collapse.
    z = latents(4, 8, 16, 16) + 5
    assert usage(vq, z) < 0.1
    optimizer = torch.optim.SGD(vq.parameters(), 0.5) if ema_decay is None else None
    for _ in range(20):
        loss = sum(vq.train()(z).losses.values())
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert usage(vq, z) > 0.9


def test_projections_are_part_of_the_codes():
    torch.manual_seed(0)
    vq = VQ(codebook_size=32, code_dim=4, projection=16)
    assert (vq.in_channels, vq.code_dim) == (16, 16)
    z = latents(2, 16, 3, 5).requires_grad_()
    out = vq(z)
    assert out.codes.shape == (2, 16, 3, 5)
    assert_close(vq.indices_to_codes(out.indices), out.codes, atol=1e-5, rtol=0)
    sum(out.losses.values()).backward()
    assert vq.project_in.weight.grad.abs().sum() > 0


def test_equal_to_another_library():
    z = latents(3, 4, 5, 5)
    vq = VQ(codebook_size=16, code_dim=4, l2_norm=False).eval()
    torch.nn.init.normal_(vq.embedding.weight, generator=torch.Generator().manual_seed(1))
    theirs = other.VectorQuantize(dim=4, codebook_size=16, accept_image_fmap=True).eval()
    theirs._codebook.embed.copy_(vq.embedding.weight.detach()[None])
    codes, indices, _ = theirs(z)
    out = vq(z)
    assert out.indices.equal(indices)
    assert_close(out.codes, codes, atol=1e-5, rtol=0)

    fsq, theirs = FSQ(levels=[8, 5, 5]), other.FSQ(levels=[8, 5, 5])
    codes, indices = theirs(3 * z[:, :3])
    out = fsq(3 * z[:, :3])
    assert out.indices.equal(indices.long())
    assert_close(out.codes, codes, atol=1e-5, rtol=0)

    theirs = other.LFQ(dim=4, codebook_size=16).eval()
    indices = theirs(z).indices
    assert LFQ(num_bits=4, bit_order='msb')(z).indices.equal(indices)


QUANTIZERS = [
    LFQ(num_bits=9),
    LFQ(num_bits=9, bit_order='msb'),
    LFQ(num_bits=9, spherical=True),
    FSQ(levels=[2, 3, 4, 5]),
    FSQ(levels=[2, 2, 2]),
    FSQ(levels=[16, 32]),
    VQ(codebook_size=300, code_dim=4),
]


def encoded(quantizer, indices: torch.Tensor) -> torch.Tensor:
    """Indices to codes and, by the nearest code, back."""
    codes = quantizer.indices_to_codes(indices)
    # FSQ bounds its input, so codes are no latents of their own.
    return quantizer._indices(codes) if isinstance(quantizer, FSQ) else quantizer(codes).indices


@pytest.mark.parametrize(
    'quantizer', QUANTIZERS, ids=lambda q: f'{type(q).__name__}{q.codebook_size}'
)
def test_every_code_of_small_sizes_round_trips(quantizer):
    indices = torch.arange(quantizer.codebook_size)[None]
    assert encoded(quantizer.eval(), indices).equal(indices)
    with torch.autocast('cpu', torch.bfloat16):
        assert encoded(quantizer, indices).equal(indices)


@pytest.mark.parametrize(
    'quantizer',
    [LFQ(num_bits=24), LFQ(num_bits=40), FSQ(levels=[8, 8, 8, 5, 5, 5]), FSQ(levels=[17] * 6)],
)
def test_random_codes_of_large_sizes_round_trip(quantizer):
    indices = torch.randint(
        quantizer.codebook_size, (4, 500), generator=torch.Generator().manual_seed(0)
    )
    assert encoded(quantizer.eval(), indices).equal(indices)


@pytest.mark.parametrize('levels', [[2], [2, 2], [3, 2, 7]])
def test_fsq_of_any_levels_reaches_every_code(levels):
    fsq = FSQ(levels=levels)
    # With two levels the border lies at -3.8: the official shift keeps z = 0 on a code.
    z = (4 * latents(4, len(levels), 800)).requires_grad_()
    out = fsq(z)
    assert len(out.indices.unique()) == fsq.codebook_size
    out.codes.sum().backward()
    assert torch.isfinite(z.grad).all()


def test_spherical_codes_have_unit_norm():
    lfq = LFQ(num_bits=12, spherical=True)
    z = latents(2, 12, 4, 4)
    out = lfq(z)
    assert_close(out.codes.norm(dim=1), torch.ones(2, 4, 4))
    x = F.normalize(z, dim=1)
    assert_close(out.losses['commitment'], (x - out.codes).square().mean())
    assert lfq.indices_to_codes(out.indices).allclose(out.codes, atol=1e-6)


def test_spherical_entropy_is_that_of_the_dense_distribution():
    lfq = LFQ(num_bits=6, spherical=True, temperature=0.3, entropy_eps=0.0)
    x = F.normalize(latents(40, 6).double(), dim=-1)
    table = lfq.indices_to_codes(torch.arange(64)[None])[0].T.double()
    p = (-torch.cdist(x, table).square() / 0.3).softmax(-1)
    mean = p.mean(0)
    expected = -(p * p.log()).sum(-1).mean(), -(mean * mean.log()).sum()
    assert_close(lfq.entropies(x), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ('kind', 'settings', 'message'),
    [
        (FSQ, dict(levels=[8, 1]), 'levels must be integers ≥ 2'),
        (LFQ, dict(num_bits=0), 'num_bits must be from 1 to 62'),
        (VQ, dict(codebook_size=1), 'codebook_size >= 2'),
        (VQ, dict(restart_after=0), 'restart_after must be at least 1'),
        (VQ, dict(ema_decay=1.5), r'ema_decay must be in \(0, 1\)'),
        (VQ, dict(restart_below=1.0), 'restart_below must be a positive number and needs ema_'),
        (VQ, dict(ema_decay=0.9, ema_smoothing=0.0), 'ema_smoothing must be a positive number'),
        (LFQ, dict(num_bits=6, index_bits=[4, 4]), 'or the sum of index_bits'),
        (LFQ, dict(num_bits=6, entropy_groups=4), 'entropy_groups must divide num_bits'),
    ],
)
def test_mistakes(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)
