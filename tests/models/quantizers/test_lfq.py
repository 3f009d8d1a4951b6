"""LFQ compared with the dense definition, its memory, and round trips."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.lfq import dense_entropies
from benchmarks.memory import PeakMemory
from openmagvit2.models.layers.iteration import one_iteration
from openmagvit2.models.quantizers import LFQ


@pytest.mark.parametrize('bits', [1, 2, 5, 8])
@pytest.mark.parametrize('eps', [0.0, 1e-5])
def test_equal_to_the_dense_form(bits, eps):
    torch.manual_seed(bits)
    x = (0.01 * torch.randn(40, bits, dtype=torch.float64)).requires_grad_()
    results = LFQ(num_bits=bits, entropy_eps=eps).entropies(x), dense_entropies(x, 0.01, eps)
    assert_close(*results, atol=1e-10, rtol=0)
    for ours, dense in zip(*results, strict=True):
        grads = [torch.autograd.grad(value, x, retain_graph=True)[0] for value in (ours, dense)]
        assert_close(*grads, atol=1e-8, rtol=1e-8)


class LargestTensor(TorchDispatchMode):
    """Remembers the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.numel = max(
            [self.numel, *(t.numel() for t in tree_leaves(out) if isinstance(t, torch.Tensor))]
        )
        return out


@pytest.mark.parametrize('bits', [20, 24])
def test_largest_tensor(bits):
    tokens = 64
    z = torch.randn(1, bits, 8, 8, requires_grad=True)
    with LargestTensor() as largest:
        LFQ(num_bits=bits)(z).losses['entropy'].backward()
    assert torch.isfinite(z.grad).all()
    assert largest.numel <= max(2**bits, tokens * 2 ** (bits // 2 + 1))


@pytest.mark.parametrize('order', ['lsb', 'msb'])
def test_bit_order_and_round_trip(order):
    lfq = LFQ(num_bits=4, bit_order=order).eval()
    indices = torch.arange(16).reshape(1, 4, 4)
    codes = lfq.indices_to_codes(indices)
    assert lfq(codes).indices.equal(indices)
    assert codes[0, :, 0, 1].tolist() == ([1, -1, -1, -1] if order == 'lsb' else [-1, -1, -1, 1])


def test_largest_bit_count_round_trips():
    lfq = LFQ(num_bits=62).eval()
    indices = torch.tensor([[0, 2**62 - 1, 123_456_789_012_345_678]])
    assert lfq(lfq.indices_to_codes(indices)).indices.equal(indices)


def test_zero_is_negative_and_underflow_has_a_gradient():
    lfq = LFQ(num_bits=3, entropy_eps=0.0)
    assert lfq(torch.zeros(1, 3, 1, 1)).indices.item() == 0
    z = (100 * torch.ones(1, 3, 2, 2)).requires_grad_()
    lfq(z).losses['entropy'].backward()
    assert torch.isfinite(z.grad).all()


def test_memory_of_the_papers_codebook():
    z = torch.randn(4, 18, 16, 16, requires_grad=True)
    with PeakMemory() as memory:
        sum(LFQ(num_bits=18)(z).losses.values()).backward()
    assert memory.peak < 100e6


def test_peak_memory_counts_what_the_graph_holds():
    x = torch.zeros(1000, requires_grad=True)
    with PeakMemory() as memory:
        y = x
        for _ in range(10):
            y = y.exp()
        y.sum().backward()
    assert 10 * 4000 <= memory.peak <= 13 * 4000


@pytest.mark.parametrize('spherical', [False, True])
def test_a_batch_in_parts_has_the_entropy_of_the_whole(spherical):
    z = 0.02 * torch.randn(6, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    whole, parts = (
        LFQ(num_bits=6, entropy_sync=True, spherical=spherical).train() for _ in range(2)
    )
    one, cut = z.clone().requires_grad_(), z.clone().requires_grad_()
    expected = whole(one)
    expected.losses['entropy'].backward()
    with one_iteration(parts, lambda: [parts(part) for part in z.chunk(3)]):
        outs = [parts(part) for part in cut.chunk(3)]
    (sum(out.losses['entropy'] for out in outs) / 3).backward()
    for out in outs:
        assert_close(out.stats['codebook_entropy'], expected.stats['codebook_entropy'])
    assert_close(sum(out.losses['entropy'] for out in outs) / 3, expected.losses['entropy'])
    assert_close(cut.grad, one.grad, atol=1e-5, rtol=1e-4)
    # The next batch is one again.
    assert_close(parts(z).losses['entropy'], expected.losses['entropy'])


@pytest.mark.parametrize('groups', [1, 2, 4, 8])
def test_entropy_of_groups_is_the_sum_of_their_dense_forms(groups):
    torch.manual_seed(0)
    x = 0.01 * torch.randn(40, 8, dtype=torch.float64)
    per_sample, codebook = LFQ(num_bits=8, entropy_groups=groups, entropy_eps=0.0).entropies(x)
    dense = [dense_entropies(part, 0.01, 0.0) for part in x.chunk(groups, 1)]
    assert_close(per_sample, sum(part[0] for part in dense), atol=1e-10, rtol=0)
    assert_close(codebook, sum(part[1] for part in dense), atol=1e-10, rtol=0)


@pytest.mark.parametrize('order', ['lsb', 'msb'])
def test_an_index_of_several_digits_holds_any_number_of_bits(order):
    lfq = LFQ(num_bits=70, index_bits=[2, 6, 62], entropy_groups=35, bit_order=order)
    assert lfq.codebook_sizes == (4, 64, 2**62) and lfq.token_shape((3,)) == (3, 3)
    z = torch.randn(2, 70, 3, generator=torch.Generator().manual_seed(0))
    out = lfq(z)
    assert lfq.indices_to_codes(out.indices).equal(torch.where(z > 0, 1.0, -1.0))
    # Each digit counts its own channels as an index of its own would.
    for digit, bits, part in zip(
        out.indices.unbind(-1), lfq.index_bits, z.split(lfq.index_bits, 1), strict=True
    ):
        assert digit.equal(LFQ(num_bits=bits, bit_order=order).eval()(part).indices)
    assert out.losses['entropy'].isfinite()


def test_cached_tables_are_not_part_of_the_state():
    lfq = LFQ(num_bits=6)
    assert not lfq.state_dict() and {name for name, _ in lfq.named_buffers()}


def test_weights_of_the_entropies_and_scale_of_the_gradient():
    z = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(4)).requires_grad_()
    plain = LFQ(num_bits=6)
    other = LFQ(num_bits=6, entropy_weights=(0.5, 2.0), gradient_scale=0.25)
    per_sample, codebook = plain.entropies(z.transpose(1, 2).flatten(0, 1))
    out = other(z)
    torch.testing.assert_close(out.losses['entropy'], 0.5 * per_sample - 2 * codebook)
    torch.testing.assert_close(out.codes, plain(z).codes)
    (gradient,) = torch.autograd.grad(out.codes.sum(), z)
    assert (gradient == 0.25).all()
