"""Every registered quantizer keeps the contract of its slot, and broken ones are caught."""

import re
from copy import deepcopy

import pytest
import torch
from contract_arguments import arguments, grids
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from openmagvit2.models.factorization import TokenFactorization
from openmagvit2.models.quantizers import FSQ, LFQ, BaseQuantizer, Grouped, QuantizerOutput
from openmagvit2.registry import QUANTIZERS

CASES = [(name, grid) for name in QUANTIZERS.names() for grid in grids(QUANTIZERS.get(name))]


def check_contract(quantizer, grid: tuple[int, ...]) -> None:
    """Shapes, types, round trip, gradients, float32 inside autocast, and the state dict."""
    torch.manual_seed(0)
    z = torch.randn(2, quantizer.in_channels, *grid, requires_grad=True)
    out = quantizer.train()(z)
    check_output(quantizer, out, z)
    for name, loss in out.losses.items():
        assert loss.dim() == 0 and loss.requires_grad, (
            f'loss {name} must be a differentiable scalar'
        )
    for name, stat in out.stats.items():
        assert not stat.requires_grad, f'stat {name} must be detached'
    assert torch.autograd.grad(out.codes.sum(), z, retain_graph=True)[0].abs().sum() > 0, (
        'codes must pass gradients'
    )
    sum([out.codes.sum(), *out.losses.values()]).backward()
    # A table may have moved in the pass, so the rest is asked in eval mode.
    out = quantizer.eval()(z)
    check_output(quantizer, out, z)
    assert not out.losses, 'losses are for training'
    codes = quantizer.indices_to_codes(out.indices)
    assert codes.dtype == torch.float32
    assert torch.allclose(codes, out.codes, atol=1e-5), 'indices_to_codes must give the codes'
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert quantizer(z).indices.equal(out.indices), 'indices must not depend on autocast'
        assert quantizer.indices_to_codes(out.indices).equal(codes), 'nor codes'
    assert quantizer(z.bfloat16()).codes.dtype == torch.bfloat16
    copy = deepcopy(quantizer)
    for tensor in copy.state_dict().values():
        tensor.zero_()
    copy.load_state_dict(quantizer.state_dict())
    assert copy(z).indices.equal(out.indices), 'the state dict must hold what indices depend on'


def check_output(quantizer, out, z) -> None:
    """Shapes and types of one output."""
    grid = z.shape[2:]
    assert out.codes.shape == (2, quantizer.code_dim, *grid) and out.codes.dtype == z.dtype
    assert out.indices.dtype == torch.int64, 'indices must be int64'
    assert out.indices.shape == (2, *quantizer.token_shape(grid))
    assert isinstance(quantizer.codebook_sizes, tuple)
    quantizer.check_indices(out.indices)


@pytest.mark.parametrize(('name', 'grid'), CASES)
def test_contract(name, grid):
    cls = QUANTIZERS.get(name)
    quantizer = cls(**arguments(cls))
    check_contract(quantizer, grid)
    indices = quantizer(torch.randn(2, quantizer.in_channels, *grid)).indices
    rows = quantizer.rows(indices)
    sub = TokenFactorization(codebook_sizes=quantizer.codebook_sizes).split(indices)
    assert rows.shape[:3] == sub.shape and rows.dtype == torch.float32


@pytest.mark.parametrize(('name', 'grid'), [case for case in CASES if len(case[1]) == 2])
def test_projections_are_part_of_the_codes(name, grid):
    cls = QUANTIZERS.get(name)
    quantizer = cls(**arguments(cls), projection=6)
    assert quantizer.in_channels == quantizer.code_dim == 6
    assert {'project_in.weight', 'project_out.bias'} < set(quantizer.state_dict())
    check_contract(quantizer, grid)
    gradient = quantizer.project_out.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0


class Waits(TorchDispatchMode):
    """Raises where an operation would read a device's memory on the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split('.')[0]
        assert name not in ('aten::_local_scalar_dense', 'aten::nonzero', 'aten::equal'), name
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('name', QUANTIZERS.names())
def test_a_training_pass_does_not_wait_for_the_device(name):
    cls = QUANTIZERS.get(name)
    quantizer = cls(**arguments(cls)).train()
    z = torch.randn(2, quantizer.in_channels, *grids(cls)[-1], requires_grad=True)
    with Waits():
        out = quantizer(z)
        sum([out.codes.sum(), *out.losses.values()]).backward()


class FloatIndices(FSQ):
    def quantize(self, z):
        out = super().quantize(z)
        out.indices = out.indices.float()
        return out


class DetachedLoss(FSQ):
    def quantize(self, z):
        out = super().quantize(z)
        out.losses = dict(wrong=z.detach().mean())
        return out


class WrongRoundTrip(FSQ):
    def indices_to_codes(self, indices):
        return -super().indices_to_codes(indices)


class HalfPrecision(FSQ):
    def __init__(self):
        super().__init__(levels=[300] * 5)

    def forward(self, z):
        out = super().forward(z.bfloat16() if torch.is_autocast_enabled('cpu') else z)
        out.codes = out.codes.to(z.dtype)
        return out


@pytest.mark.parametrize('wrong', [FloatIndices, DetachedLoss, WrongRoundTrip, HalfPrecision])
def test_wrong_classes_are_caught(wrong):
    with pytest.raises(AssertionError):
        check_contract(wrong(), (3, 4))


class OfVersion1(FSQ):
    """States what version 1's contract asked for."""

    def __init__(self, books=None):
        nn.Module.__init__(self)
        self.codebook_size = 6
        if books:
            self.num_codebooks = books


class ClassAttributes(OfVersion1):
    codebook_size, num_codebooks = 6, 3

    def __init__(self):
        nn.Module.__init__(self)


class Nothing(OfVersion1):
    def __init__(self):
        nn.Module.__init__(self)


@pytest.mark.parametrize(
    ('quantizer', 'sizes', 'shape'),
    [
        (OfVersion1(), (6,), (2, 3)),
        (OfVersion1(2), (6, 6), (2, 3, 2)),
        (ClassAttributes(), (6, 6, 6), (2, 3, 3)),
        (FSQ(levels=[2, 3]), (6,), (2, 3)),
    ],
)
def test_sizes_and_shape_of_an_index(quantizer, sizes, shape):
    assert quantizer.codebook_sizes == sizes and quantizer.token_shape((2, 3)) == shape
    assert quantizer.codebook_size == 6 and quantizer.num_codebooks == len(sizes)


def test_a_class_without_sizes_is_named():
    with pytest.raises(ValueError, match='Nothing must set `codebook_sizes`'):
        Nothing().token_shape((2,))


def test_several_digits_have_no_single_size():
    quantizer = Nothing()
    quantizer.codebook_sizes = (4, 8)
    assert quantizer.num_codebooks == 2 and isinstance(quantizer, BaseQuantizer)
    with pytest.raises(ValueError, match='read `codebook_sizes`'):
        _ = quantizer.codebook_size
    good = torch.tensor([[[3, 7], [0, 0]]])
    assert quantizer.check_indices(good).equal(good)
    with pytest.raises(ValueError, match=r'from 0 to 3 \(the codebook has 4 codes\), got 7'):
        quantizer.check_indices(good.flip(-1))
    with pytest.raises(ValueError, match='last axis of indices must have length 2'):
        quantizer.check_indices(good[..., :1])


class SignsOfVersion1(BaseQuantizer):
    """The quantizer of version 1's page on adding one."""

    def __init__(self):
        super().__init__()
        self.in_channels = self.code_dim = 4
        self.codebook_size = 16

    def quantize(self, z):
        codes = torch.where(z > 0, 1.0, -1.0)
        losses = dict(commitment=(z - codes).square().mean()) if self.training else {}
        return QuantizerOutput(z + (codes - z).detach(), self.codes_to_indices(codes), losses)

    def codes_to_indices(self, codes):
        return sum((codes[:, i] > 0).long() << i for i in range(4))

    def indices_to_codes(self, indices):
        return torch.stack([(indices >> i & 1) * 2.0 - 1 for i in range(4)], 1)


@pytest.mark.parametrize('grid', [(7,), (4, 6)])
def test_a_class_of_version_1_keeps_the_contract(grid):
    quantizer = SignsOfVersion1()
    check_contract(quantizer, grid)
    z = torch.randn(2, 4, *grid)
    out = quantizer(z)
    assert quantizer.rows(out.indices)[:, :, 0].equal(out.codes.flatten(2).transpose(1, 2).round())
    groups = Grouped(quantizer=dict(type=SignsOfVersion1), groups=2).eval()
    assert groups(torch.cat([z, z], 1)).indices.equal(torch.stack([out.indices] * 2, -1))


EMA = dict(type='VQ', codebook_size=4, code_dim=2, l2_norm=False, ema_decay=0.9)
SYNC = dict(type='LFQ', num_bits=2, entropy_sync=True)


@pytest.mark.parametrize(
    ('config', 'text'),
    [
        (
            dict(type='Residual', quantizer=EMA, depth=2),
            'Residual over a table of running averages',
        ),
        (dict(type='Residual', quantizer=SYNC, depth=2), 'Residual calls its LFQ several times'),
        (
            dict(type='MultiScale', quantizer=SYNC, scales=(1, 2)),
            'MultiScale calls its LFQ several times.* entropy_sync=False',
        ),
        (
            dict(type='Grouped', quantizer=dict(type='Residual', quantizer=EMA, depth=1), groups=2),
            'Residual over a table',
        ),
        (dict(type='Grouped', quantizer=SYNC, groups=2), None),
        (dict(type='MultiScale', quantizer=EMA, scales=(1, 2)), None),
        (SYNC, None),
        (EMA, None),
    ],
)
def test_what_cannot_be_cut_into_micro_batches_says_so(config, text):
    why = QUANTIZERS.build(config).indivisible
    assert why is None if text is None else re.match(text, why)


def test_a_quantizer_with_the_whole_batch_of_version_1_names_what_took_its_place():
    class Old(LFQ):
        def begin_step(self, latents):
            pass

    class Of(BaseQuantizer):
        begin_step, whole_batch, quantize = Old.begin_step, True, None

    for old in (Old(entropy_sync=True), Of()):
        name = type(old).__name__
        assert re.match(f'{name} has `begin_step` of version 1.*`foresee`', old.indivisible)
    assert Old().indivisible is None
