"""What must hold on a GPU, as functions of the device: `tests/gpu/` runs them on a GPU, and
`tests/test_card_checks.py` on the CPU, so that they stay correct where there is no GPU.
"""

import copy
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from plot import read_curves
from torch import nn
from torch.testing import assert_close
from two_processes import run_on_cards

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.engine.optim.constructor import RoleOptimConstructor
from openmagvit2.engine.parallel.ddp import counted_step
from openmagvit2.errors import TrainingStopped
from openmagvit2.models.backbones import Llama
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.quantizers import LFQ
from openmagvit2.models.samplers import Finite, build_sampler
from openmagvit2.workflows.train import train

CONFIGS = Path(__file__).parents[1] / 'configs' / 'tiny'
# For the head of each file in tests/gpu.
NEEDS_CARD = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason='no GPU here; where there is one: pytest -m gpu'
    ),
]


# ---- one card ----------------------------------------------------------------------------------
def model_of(name: str, device: str, **options: object) -> nn.Module:
    """A tiny model; a generator's logits are no zeros."""
    torch.manual_seed(0)
    model = init_model(CONFIGS / f'{name}.py', device='cpu', cfg_options=options)
    for classifier in getattr(getattr(model, 'head', None), 'classifiers', ()):
        nn.init.normal_(classifier.weight, 0, 0.1)
    return model.to(device)


def losses_of(name: str, device: str, dtype: str, count: int = 12) -> tuple[list[float], nn.Module]:
    """Losses of some steps on one batch."""
    model = model_of(name, device).train()
    config = load_config(CONFIGS / f'{name}.py', {'optim_wrapper.dtype': dtype})
    config.optim_wrapper.pop('constructor')
    wrappers = RoleOptimConstructor(config.optim_wrapper)(model)
    generator = torch.Generator().manual_seed(1)
    data = dict(
        image=torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8, generator=generator),
        label=torch.arange(8),
        uniform=torch.rand(8, dtype=torch.float64, generator=generator),
    )
    losses = [
        counted_step(model, data, wrappers, model.roles(), i)['loss'].item() for i in range(count)
    ]
    return losses, model


def check_steps(name: str, device: str, dtype: str) -> None:
    """Steps in half precision begin where those in float32 do, learn, and leave float32 weights."""
    expected, _ = losses_of(name, device, 'float32', 1)
    losses, model = losses_of(name, device, dtype)
    assert losses[0] == pytest.approx(expected[0], rel=0.02)
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())


def check_compiled(device: str) -> None:
    """Compiled blocks have the gradients of plain ones."""
    found = []
    for compiled in (False, True):
        model = model_of('ar_32', device, **{'model.backbone.compile_blocks': compiled}).train()
        sub = torch.randint(8, (2, model.num_tokens, 2), generator=torch.Generator().manual_seed(2))
        sum(model.loss(sub.to(device), torch.tensor([1, 2], device=device)).values()).backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert_close(found[1][name], gradient, atol=1e-5, rtol=1e-3)


def sampled(model: nn.Module, sampling: dict) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Indices of three labels, and the logits of each draw."""
    seen: list[torch.Tensor] = []
    look = Finite.look
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finite, 'look', lambda self, x: (seen.append(x.cpu()), look(self, x))[1])
        return model.generate([1, 2, 3], sampling, seed=4).cpu(), seen


def check_samples(name: str, device: str) -> None:
    """A card samples what a CPU does, from logits within 1e-3."""
    sampling = load_config(CONFIGS / f'{name}.py').eval_sampling or {}
    model = model_of(name, 'cpu')
    expected, logits = sampled(copy.deepcopy(model), sampling)
    # VAR's input goes through convolutions.
    with exact_convolutions():
        found, on_card = sampled(model.to(device), sampling)
    assert len(logits) == len(on_card) > 1
    assert max((a - b).abs().max().item() for a, b in zip(logits, on_card, strict=True)) <= 1e-3
    assert max(x.std().item() for x in logits) > 0.1 and found.equal(expected)


def exact_convolutions():
    """Within, cuDNN computes in float32, and not in TF32 as it does unless asked otherwise."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def check_batches(name: str, device: str) -> None:
    """A sample has the same tokens in any batch."""
    model = model_of(name, device)
    sampling = load_config(CONFIGS / f'{name}.py').eval_sampling or {}
    labels, numbers = [1, 2, 1, 3, 4, 1], [0, 0, 1, 0, 0, 2]
    together = model.generate(labels, sampling, 5, numbers)
    for cut in (1, 2, 5):
        apart = [
            model.generate(labels[part], sampling, 5, numbers[part])
            for part in (slice(cut), slice(cut, None))
        ]
        assert torch.cat(apart).equal(together), cut


def check_sampler(device: str) -> None:
    """Guidance, filters and draw of a large vocabulary; runs where waits are errors."""
    sampler = build_sampler(dict(guidance=2.0, temperature=0.9, top_k=5000, top_p=0.9))
    logits = torch.randn(4, 20_000, device=device)
    uniform = torch.rand(2, device=device, dtype=torch.float64)
    with no_waits(device):
        drawn = sampler(logits, 0, uniform)
    assert drawn.shape == (2,) and 0 <= drawn.min() and drawn.max() < 20_000


@contextmanager
def no_waits(device: str) -> Iterator[None]:
    """Within, whatever waits for a card is an error."""
    if device == 'cpu':
        yield
        return
    torch.cuda.set_sync_debug_mode('error')
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode('default')


def check_entropies(device: str) -> None:
    """LFQ's entropies in the autocast of bfloat16 are those of the formula in float64."""
    generator = torch.Generator().manual_seed(0)
    quantizer = LFQ(num_bits=6, temperature=1.0, entropy_eps=0.0).to(device).train()
    z = torch.randn(4, 6, 5, 5, generator=generator)
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        out = quantizer(z.to(device))
    codes = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 6)
    distances = (z.movedim(1, -1).reshape(-1, 1, 6).double() - codes).square().sum(-1)
    p = (-distances).softmax(-1)
    expected = dict(
        per_sample_entropy=-torch.special.xlogy(p, p).sum(-1).mean(),
        codebook_entropy=-torch.special.xlogy(p.mean(0), p.mean(0)).sum(),
    )
    for name, value in expected.items():
        assert out.stats[name].item() == pytest.approx(value.item(), rel=1e-5)


def check_cache(device: str) -> None:
    """The cache takes the bytes of its numbers in the type of the products, once."""
    backbone = Llama(grid=(16, 16), dim=128, num_layers=2, num_heads=4).to(device).eval()
    x = torch.randn(4, 1, 128, device=device)

    def run() -> list[LayerCache]:
        cache = backbone.new_cache()
        with torch.no_grad(), torch.autocast(torch.device(device).type, torch.bfloat16):
            for _ in range(3):
                backbone(x, cache=cache)
        return cache

    # The first products also take the memory that cuBLAS works in.
    run()
    before = torch.cuda.memory_allocated() if device != 'cpu' else 0
    cache = run()
    kept = [x for layer in cache for x in (layer.keys, layer.values)]
    assert {x.dtype for x in kept} == {torch.bfloat16}
    # Layers, keys and values, batch, positions, width, bytes.
    expected = 2 * 2 * 4 * 256 * 128 * 2
    assert sum(x.untyped_storage().nbytes() for x in kept) == expected
    if device != 'cpu':
        assert expected <= torch.cuda.memory_allocated() - before <= 1.5 * expected


def check_float32(device: str) -> None:
    """'highest' computes in float32; codes are compared so whatever is set."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=generator).to(device) for _ in range(2))
    exact = a.cpu().double() @ b.cpu().double()
    quantizer, errors, entropies = LFQ(num_bits=8, temperature=1.0).to(device), {}, {}
    before = torch.get_float32_matmul_precision()
    try:
        for precision in ('highest', 'high'):
            torch.set_float32_matmul_precision(precision)
            errors[precision] = ((a @ b).cpu().double() - exact).abs().max().item()
            entropies[precision] = torch.stack(quantizer.entropies(a[:, :8])).tolist()
    finally:
        torch.set_float32_matmul_precision(before)
    # Sums of 512 products of about 1.
    assert errors['highest'] < 1e-3
    assert entropies['highest'] == entropies['high']
    if device != 'cpu' and torch.cuda.get_device_capability() >= (8, 0):
        assert errors['high'] > 3 * errors['highest']


# ---- trainings ---------------------------------------------------------------------------------
class StopAfter(Hook):
    """Ends a training after an iteration, as a signal does."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if batch_idx + 1 == self.iteration:
            signal.raise_signal(signal.SIGTERM)


def training(name: str, **options: object):
    """The config of 6 iterations."""
    given = {
        'train_cfg.max_iters': 6,
        'train_cfg.val_interval': 6,
        'val_dataloader.dataset.num_images': 10,
        'optim_wrapper.dtype': 'float32',
        'default_hooks.logger.interval': 1,
    }
    return load_config(CONFIGS / f'{name}.py', given | options)


def check_resume(name: str, folder: Path) -> None:
    """A training that is stopped and resumed on this machine's device ends bit for bit as one that
    is not.
    """
    exact = {'randomness.deterministic': True}
    straight, halves = folder / 'straight', folder / 'halves'
    try:
        train(training(name, **exact), str(straight))
        with pytest.raises(TrainingStopped):
            train(training(name, **exact), str(halves), hooks=[StopAfter(3)])
        train(training(name, **exact), str(halves), resume=True)
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False
    a, b = (read_checkpoint(where / 'iter_6.pth')['state_dict'] for where in (straight, halves))
    assert a.keys() == b.keys()
    assert [key for key in a if not a[key].equal(b[key])] == []


def train_in_group(rank: int, folder: str, name: str, wrapper: str) -> None:
    """One process of a data-parallel training."""
    config = training(name, **{'model_wrapper_cfg.type': wrapper})
    with exact_convolutions():
        train(config, f'{folder}/group', launcher='pytorch')


def check_data_parallel(name: str, wrapper: str, folder: Path) -> None:
    """One or two cards (two processes where there is none) train as one process does."""
    with exact_convolutions():
        train(training(name), str(folder / 'one'))
    run_on_cards(train_in_group, folder, name, wrapper)
    found, expected = (list(read_curves(folder / way)['loss'].values()) for way in ('group', 'one'))
    assert len(found) == 6 and found == pytest.approx(expected, rel=1e-3)
