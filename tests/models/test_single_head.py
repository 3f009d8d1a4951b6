"""The cross-entropy of the single head: the numbers of the plain one, in bounded memory."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from benchmarks.memory import PeakMemory
from openmagvit2.models.heads.chunked_cross_entropy import linear_cross_entropy
from openmagvit2.registry import HEADS


def plain(x: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(F.linear(x, weight).float(), target, reduction='none')


def case(tokens: int, vocab: int, dim: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    x, weight = (
        torch.randn(tokens, dim, generator=generator),
        0.1 * torch.randn(vocab, dim, generator=generator),
    )
    return (
        x,
        weight,
        torch.randint(vocab, (tokens,), generator=generator),
        torch.rand(tokens, generator=generator),
    )


@pytest.mark.parametrize('chunk_elements', [1, 100_000, 10**9])
def test_loss_and_gradients_equal_those_of_the_plain_form(chunk_elements):
    tokens, vocab = (37, 257) if chunk_elements == 1 else (200, 2**12)
    x, weight, target, upstream = case(tokens, vocab, 64)
    results = []
    for loss in (plain, lambda *args: linear_cross_entropy(*args, chunk_elements)):
        leaves = x.clone().requires_grad_(), weight.clone().requires_grad_()
        losses = loss(*leaves, target)
        losses.backward(upstream)
        results.append((losses.detach(), *(leaf.grad for leaf in leaves)))
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_gradient_by_differences():
    x, weight, target, _ = case(5, 11, 3)
    x, weight = x.double().requires_grad_(), weight.double().requires_grad_()
    # The loss itself is float32: wide steps, wide bounds.
    assert torch.autograd.gradcheck(
        lambda a, b: linear_cross_entropy(a, b, target, 20).double(),
        (x, weight),
        eps=1e-2,
        atol=1e-3,
        rtol=1e-2,
    )


def test_autocast_is_that_of_a_linear_layer():
    x, weight, target, upstream = case(64, 500, 32)
    results = []
    for loss in (plain, lambda *args: linear_cross_entropy(*args, 3000)):
        leaves = x.clone().requires_grad_(), weight.clone().requires_grad_()
        with torch.autocast('cpu', torch.bfloat16):
            losses = loss(*leaves, target)
        losses.backward(upstream)
        assert losses.dtype == leaves[0].grad.dtype == leaves[1].grad.dtype == torch.float32
        results.append((losses.detach(), *(leaf.grad for leaf in leaves)))
    assert_close(results[1][0], results[0][0], atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(results[1][1:], results[0][1:], strict=True):
        # Sums over the vocabulary are cut in slices, each rounded to bfloat16.
        assert (ours - theirs).norm() < 0.01 * theirs.norm()


def test_only_the_gradients_that_are_asked_for():
    x, weight, target, _ = case(10, 50, 8)
    weight.requires_grad_()
    linear_cross_entropy(x, weight, target, 100).sum().backward()
    assert weight.grad is not None and x.grad is None
    with torch.no_grad():
        assert_close(linear_cross_entropy(x, weight, target, 100), plain(x, weight, target))


def peak(tokens: int, vocab: int, dim: int, **options: int) -> tuple[int, int]:
    """Bytes that forward and backward take, and bytes of the gradients among them."""
    head = HEADS.build(dict(type='SingleHead', vocab_sizes=[vocab], dim=dim, **options))
    context = torch.randn(tokens // 256, 256, dim, requires_grad=True)
    target = torch.randint(vocab, (tokens // 256, 256, 1))
    with PeakMemory() as memory:
        head.loss(context, target)['sub_token_0'].backward()
    gradients = [context.grad, *(p.grad for p in head.parameters() if p.grad is not None)]
    return memory.peak, sum(grad.numel() * grad.element_size() for grad in gradients)


def test_memory_follows_the_chunk_and_not_the_vocabulary():
    used, gradients = peak(1024, 2**14, 32, chunk_elements=2**18)
    # The whole table of logits is 64 MB, one of a chunk is 1 MB.
    assert used - gradients < 6e6


@pytest.mark.slow
def test_two_to_the_eighteen_codes_train_in_less_than_a_gigabyte():
    used, gradients = peak(1024, 2**18, 64)
    assert used - gradients < 1e9
