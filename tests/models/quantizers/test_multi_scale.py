import pytest
import torch
from torch.testing import assert_close

from openmagvit2.models.quantizers import VQ, MultiScale

TABLE = dict(type='VQ', codebook_size=12, code_dim=4, l2_norm=False, restart_after=None)


def make(scales=(1, 2, 4), **settings) -> MultiScale:
    torch.manual_seed(0)
    settings = dict(quantizer=TABLE) | settings
    quantizer = MultiScale(scales=scales, **settings)
    torch.nn.init.normal_(quantizer.quantizer.embedding.weight)
    return quantizer.train()


def latents() -> torch.Tensor:
    return torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))


def test_a_single_scale_without_convolutions_is_its_quantizer():
    quantizer, z = make(scales=(4,), num_phi=0), latents()
    vq = VQ(**{key: value for key, value in TABLE.items() if key != 'type'})
    vq.load_state_dict(quantizer.quantizer.state_dict())
    found, wanted = quantizer(z), vq(z)
    assert found.indices.equal(wanted.indices.flatten(1))
    assert_close(found.codes, wanted.codes)
    assert_close(found.losses, wanted.losses)


def test_loop_of_a_generator_gives_the_codes():
    quantizer, z = make().eval(), latents()
    out = quantizer(z)
    assert out.indices.shape == (2, 21) and quantizer.groups == (1, 4, 16)
    total, seen = None, []
    for s, part in enumerate(out.indices.split(quantizer.groups, 1)):
        total = quantizer.accumulate(total, part, s)
        if s < 2:
            seen.append(quantizer.next_input(total, s + 1))
            assert seen[-1].shape == (2, quantizer.groups[s + 1], 4)
    assert_close(total, out.codes)
    assert quantizer.teacher_inputs(out.indices).equal(torch.cat(seen, 1))


def test_digits_of_the_quantizer_are_the_last_axis():
    torch.manual_seed(0)
    inner = dict(type='LFQ', num_bits=4, index_bits=[1, 3], spherical=True)
    quantizer = MultiScale(quantizer=inner, scales=(1, (2, 2), 4), gradient='scales').eval()
    out = quantizer(latents())
    assert quantizer.token_shape((4, 4)) == (21, 2) and out.indices.shape == (2, 21, 2)
    assert_close(quantizer.indices_to_codes(out.indices), out.codes)


def test_averages_move_once_a_pass():
    quantizer = make(quantizer=TABLE | dict(ema_decay=0.5))
    before = quantizer.quantizer.embedding.weight.clone()
    out = quantizer(latents())
    counts = torch.bincount(out.indices.flatten(), minlength=12)
    assert_close(quantizer.quantizer.code_count, 0.5 + 0.5 * counts)
    assert not quantizer.quantizer.embedding.weight.equal(before)
    assert set(out.losses) == {'codebook', 'commitment'}
    # The convolutions learn from the codebook loss.
    out.losses['codebook'].backward()
    assert quantizer.phi[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ('count', 'wanted'),
    [(4, [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]), (1, [0] * 10), (2, [0] * 5 + [1] * 5)],
)
def test_neighboring_scales_share_a_convolution(count, wanted):
    quantizer = MultiScale(quantizer=TABLE, num_phi=count)
    assert [quantizer._phi(s) for s in range(10)] == wanted


def test_mistakes():
    with pytest.raises(ValueError, match=r'scales ends with \(4, 4\), .* grid is \(4, 6\)'):
        make()(torch.zeros(1, 4, 4, 6))
    with pytest.raises(ValueError, match='upsample must be one of bicubic, bilinear'):
        make(upsample='nearest')
    with pytest.raises(ValueError, match='gradient must be one of sum, scales'):
        make(gradient='both')
    with pytest.raises(ValueError, match='at least one scale'):
        make(scales=())
