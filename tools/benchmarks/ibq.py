"""Time and memory of index backpropagation, compared with the form that keeps all logits."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import Machine, seconds_of
from benchmarks.memory import PeakMemory, memory_by_default
from benchmarks.report import Result, number
from openmagvit2.models.quantizers import IBQ

# Maximum bytes for the paper's largest codebook, beyond the table and its gradient.
MOST_BYTES = 1.5e9


def measure_ibq(
    codes: int, dim: int, tokens: int, machine: Machine, repeats: int = 1
) -> Iterator[Result]:
    """Yield one result, which fails if it takes more memory than allowed."""
    ibq = IBQ(codebook_size=codes, code_dim=dim).to(machine.device).train()
    z = torch.randn(1, dim, tokens, device=machine.device, requires_grad=True)

    def own() -> Tensor:
        out = ibq(z)
        return sum(out.losses.values()) + out.codes.square().mean()

    def plain() -> Tensor:
        return plain_loss(z[0].T, ibq.table, ibq.temperature)

    seconds, peak = _measure(own, ibq, z, repeats)
    with memory_by_default():
        plain_seconds, plain_peak = _measure(plain, ibq, z, repeats)
    # Forward, the logits; backward, the logits again, the gradient of the codes, and two products
    # for the inputs.
    floor = machine.floor(matrix=5 * 2 * tokens * dim * codes)
    yield Result(
        f'IBQ, forward and backward, {codes} codes of {dim} dimensions, {tokens} tokens; memory '
        f'beyond the table and its gradient',
        seconds,
        tokens,
        'tokens',
        peak=peak,
        floor=floor,
        floor_of='matrix products',
        plain=plain_seconds,
        plain_peak=plain_peak,
        plain_of='all logits at once, default glibc settings',
        passed=peak < MOST_BYTES,
        notes=[f'{number(MOST_BYTES / 1e6)} MB are allowed'],
    )


def plain_loss(x: Tensor, table: Tensor, temperature: float) -> Tensor:
    """Compute the losses and a term of the codes from all logits of x (M, D), like the official
    code.
    """
    logits = x @ table.T
    p = logits.softmax(-1)
    onehot = F.one_hot(logits.argmax(-1), len(table)).to(p)
    codes = (onehot + p - p.detach()) @ table
    chosen = onehot @ table
    q, log_q = (logits / temperature).softmax(-1), (logits / temperature).log_softmax(-1)
    mean = q.mean(0)
    entropy = -(q * log_q).sum(-1).mean() + (mean * (mean + 1e-5).log()).sum()
    errors = F.mse_loss(codes, x) + F.mse_loss(x, chosen.detach()) + F.mse_loss(chosen, x.detach())
    return errors + entropy + codes.square().mean()


def _measure(loss: Callable[[], Tensor], ibq: IBQ, z: Tensor, repeats: int) -> tuple[float, float]:
    """Return the median seconds, and the peak bytes without the gradient of the table."""

    def step() -> None:
        ibq.zero_grad(set_to_none=True)
        z.grad = None
        loss().backward()

    seconds = seconds_of(step, z.device, repeats)
    ibq.zero_grad(set_to_none=True)
    with PeakMemory() as memory:
        loss().backward()
    return seconds, memory.peak - ibq.table.numel() * ibq.table.element_size()
