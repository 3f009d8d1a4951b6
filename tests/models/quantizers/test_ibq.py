"""IBQ in blocks, compared with its dense form, and its memory."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from openmagvit2.models.quantizers import IBQ


def dense(quantizer: IBQ, z: torch.Tensor) -> tuple[torch.Tensor, dict, torch.Tensor]:
    """Codes, losses and indices by the official formulas, with one-hot vectors over all rows."""
    x, table = z.flatten(2).transpose(1, 2).flatten(0, 1), quantizer.embedding.weight
    logits = x @ table.T
    p, indices = logits.softmax(-1), logits.argmax(-1)
    codes = (F.one_hot(indices, len(table)) - p.detach() + p) @ table
    rows = table[indices]
    log = (logits / quantizer.temperature).log_softmax(-1)
    mean = log.exp().mean(0)
    entropy = -(log.exp() * log).sum(-1).mean() + (mean * (mean + 1e-5).log()).sum()
    losses = dict(
        propagation=(codes - x).square().mean(),
        commitment=(rows.detach() - x).square().mean(),
        codebook=(rows - x.detach()).square().mean(),
        entropy=entropy,
    )
    return codes.view(len(z), -1, z.shape[1]).transpose(1, 2).view_as(z), losses, indices


# Blocks of 7 tokens, the last one shorter.
@pytest.mark.parametrize('max_elements', [2**24, 7 * 2**10])
def test_same_as_the_dense_form(max_elements):
    torch.manual_seed(0)
    quantizer = IBQ(codebook_size=2**10, code_dim=32, temperature=0.2, max_elements=max_elements)
    z = (0.3 * torch.randn(2, 32, 5, 4)).requires_grad_()
    out = quantizer(z)
    codes, losses, indices = dense(quantizer, z)
    assert out.indices.flatten().equal(indices)
    assert_close(out.codes, codes, atol=1e-5, rtol=0)
    assert_close(out.losses, losses, atol=1e-5, rtol=1e-5)
    weights = torch.randn(z.shape)
    for found, wanted in (
        ((out.codes * weights).sum(), (codes * weights).sum()),
        *zip(out.losses.values(), losses.values(), strict=True),
    ):
        inputs = [x for x in (z, quantizer.embedding.weight)]
        gradients = [
            torch.autograd.grad(term, inputs, retain_graph=True, allow_unused=True)
            for term in (found, wanted)
        ]
        for mine, its in zip(*gradients, strict=True):
            if its is None:
                assert mine is None
            else:
                assert_close(mine, its, atol=1e-5 * its.abs().max().item(), rtol=0)


def test_all_rows_get_a_gradient():
    quantizer = IBQ(codebook_size=64, code_dim=4)
    quantizer(torch.randn(1, 4, 3)).codes.square().sum().backward()
    assert quantizer.embedding.weight.grad.abs().sum(1).min() > 0


MEMORY = """
import resource, torch
from openmagvit2.models.quantizers import IBQ
torch.set_num_threads(1)
quantizer = IBQ(codebook_size=2**18, code_dim=256)
quantizer.embedding.weight.grad = torch.ones(2**18, 256)
z = torch.randn(1, 256, 16, 16, requires_grad=True)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
out = quantizer(z)
sum([out.codes.square().mean(), *out.losses.values()]).backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
def test_memory_of_a_large_codebook():
    if not sys.platform.startswith('linux'):
        pytest.skip('the unit of the memory is that of Linux')
    done = subprocess.run(
        [sys.executable, '-c', MEMORY], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1.5e9
