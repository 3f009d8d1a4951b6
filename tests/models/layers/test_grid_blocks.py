"""OmniTokenizer's layers compared with other formulas: offsets, windows, rotations, biases, the
table, noise.
"""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from openmagvit2.errors import UserError
from openmagvit2.models.decoders import WindowVitDecoder
from openmagvit2.models.discriminators import PatchGAN
from openmagvit2.models.encoders import WindowVitEncoder
from openmagvit2.models.layers.grid_blocks import GridAttention, OffsetBias, turns
from openmagvit2.models.layers.window_attention import WindowAttention, offset_numbers
from openmagvit2.models.quantizers import VQ

CELLS = [(row, column) for row in range(2) for column in range(3)]


def test_offsets_count_rows_then_columns_of_query_minus_key():
    found = offset_numbers(2, 3)
    for q, (a, b) in enumerate(CELLS):
        for k, (c, d) in enumerate(CELLS):
            assert found[q, k] == (a - c + 1) * 5 + b - d + 2


def test_windows_see_themselves_alone():
    layer, x = WindowAttention(8, 2, 2).eval(), torch.randn(1, 4, 6, 8)
    moved = x.clone()
    # One channel: the norm takes away what all have in common.
    moved[0, 0, 0, 0] += 1
    changed = (layer(moved) - layer(x)).abs().amax(-1)[0] > 0
    expected = torch.zeros(4, 6, dtype=torch.bool)
    expected[:2, :2] = True
    assert changed.equal(expected)
    # One window is attention with the table's row of each offset.
    small = x[:, :2, :2]
    q, k, v = (p.view(4, 2, 4) for p in layer.qkv(layer.norm(small)).view(4, 24).chunk(3, -1))
    logits = torch.einsum('qhd,khd->hqk', q, k) / 2
    logits = logits + layer.bias[offset_numbers(2, 2)].permute(2, 0, 1)
    out = torch.einsum('hqk,khd->qhd', logits.softmax(-1), v).flatten(1)
    assert_close(layer(small).view(4, 8), layer.proj(out))


def test_pairs_turn_by_column_and_row_in_turn():
    table = turns(2, 3, 8, torch.device('cpu'))
    angles = torch.tensor([2.0, 1.0, 0.02, 0.01])  # Column 2, row 1; 10000^(-4 / 8) = 0.01.
    assert_close(table[5, :, 0], angles.cos())
    assert_close(table[5, :, 1], angles.sin())


def test_biases_are_of_logarithms_of_offsets():
    bias = OffsetBias(6, 2)
    table = bias(2, 3)
    offset = torch.tensor([1.0, -2.0])  # From cell (0, 2) to cell (1, 0): query minus key.
    assert_close(table[:, 3, 2], bias.layers(offset.sign() * (1 + offset.abs()).log()))


def test_attention_takes_raw_keys_and_unit_vectors():
    layer, x = GridAttention(8, 2, 4, 'bias').eval(), torch.randn(1, 1, 2, 8)
    with torch.no_grad():
        layer.query_scale.copy_(torch.tensor([0.5, 1, 2, 1]))
    cells = x[0, 0]
    q = F.normalize(layer.query(layer.norm(cells)).view(2, 2, 4), dim=-1) * layer.query_scale
    k, v = (part.view(2, 2, 4) for part in layer.key_value(cells).chunk(2, -1))
    logits = 8 * torch.einsum('qhd,khd->hqk', q, F.normalize(k, dim=-1)) + layer.bias(1, 2)
    out = torch.einsum('hqk,khd->qhd', logits.softmax(-1), v).flatten(1)
    assert_close(layer(x)[0, 0], layer.out(out))
    with pytest.raises(UserError, match='must be one of rope, bias'):
        GridAttention(8, 1, 4, 'sine')
    with pytest.raises(UserError, match='divisible by 4 for rotary'):
        GridAttention(8, 1, 6, 'rope')


def test_sides_and_letters():
    own = dict(patch_size=4, dim=16, num_heads=2, head_dim=8, temporal='t')
    encoder = WindowVitEncoder(out_channels=5, spatial='tw', window=2, **own)
    assert encoder(torch.zeros(1, 3, 8, 16)).shape == (1, 5, 2, 4)
    with pytest.raises(UserError, match='divisible by 8, the side of a window in pixels'):
        encoder(torch.zeros(1, 3, 8, 12))
    with pytest.raises(UserError, match="spatial must have one letter of 'tw' per block, got 'tx'"):
        WindowVitDecoder(in_channels=5, spatial='tx', **own)


def test_unit_latents_and_raw_rows():
    quantizer = VQ(
        codebook_size=4, code_dim=2, l2_norm='latent', ema_decay=0.99, ema_smoothing=1e-7,
        restart_after=None,
    )  # fmt: skip
    rows = torch.tensor([[0.9, 0], [0, 0.9], [-0.9, 0], [0, -0.9]])
    counts = torch.tensor([1.0, 2, 3, 4])
    quantizer.embedding.weight.data.copy_(rows)
    quantizer.code_count.copy_(counts)
    quantizer.code_sum.copy_(counts[:, None] * rows)
    z = F.normalize(torch.tensor([[1, 0.2], [0.9, -0.3], [0.1, 1]]), dim=1)
    out = quantizer(3 * z.T[None])
    assert out.indices.tolist() == [[0, 0, 1]]
    assert_close(out.codes[0].T, rows[[0, 0, 1]])
    assert_close(0.25 * out.losses['commitment'], torch.tensor(0.00692741))
    assert_close(quantizer.code_count, torch.tensor([1.01, 1.99, 2.97, 3.96]))
    expected = torch.tensor([[0.9012797, -0.0011892], [0.0005, 0.9004775], [-0.9, 0], [0, -0.9]])
    assert_close(quantizer.embedding.weight.data, expected, atol=1e-6, rtol=1e-5)
    with pytest.raises(UserError, match='must be one of True, False, latent'):
        VQ(l2_norm='rows')


def test_the_first_training_pass_sets_the_table_once():
    make = dict(codebook_size=4, code_dim=2, l2_norm=False, ema_decay=0.5, restart_after=None)
    quantizer, z = VQ(**make, data_init=True), torch.randn(1, 2, 30)
    quantizer.eval()(z)
    assert quantizer.started == 0
    out = quantizer.train()(z)
    near = (out.codes.mT[0, :, None] - z.mT).abs().amax(-1) < 1e-5
    assert near.any(-1).all(), 'codes are latents'
    assert quantizer.started == 1 and quantizer.code_count.sum() > 4
    resumed = VQ(**make, data_init=True)
    resumed.load_state_dict(quantizer.state_dict())
    resumed(z + 100)
    assert resumed.embedding.weight.abs().min() < 60, 'a resumed table moves on from its place'


def test_noise_of_the_discriminator():
    judge, image = (
        PatchGAN(channels=8, num_layers=1, bias=True, noise=True),
        torch.randn(2, 3, 16, 16),
    )
    assert judge(image).equal(judge.main(image)), 'no noise at the start'
    with torch.no_grad():
        judge.noise.copy_(torch.tensor([1.0, 0, 0]))
    assert not judge(image).equal(judge(image))
    judge.eval()
    assert judge(image).equal(judge(image))
    assert_close(judge(image)[1:], judge(image[1:]))
    stages = judge.features(image)
    assert_close(judge.main[-1](stages[-1]), judge(image))
