"""Arrays, tensors, indices and files that the API accepts or refuses."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from openmagvit2.apis import Tokenizer
from openmagvit2.apis import images as module
from openmagvit2.apis.images import to_list
from openmagvit2.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer.from_config('tiny/lfq_32')


def plain(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1) / 127.5 - 1


@pytest.mark.parametrize(
    ('given', 'meant'),
    [
        (IMAGE[..., ::-1], IMAGE[..., ::-1]),
        (IMAGE[::-1, ::2], IMAGE[::-1, ::2]),
        (IMAGE[..., 0], IMAGE[..., [0, 0, 0]]),
        (IMAGE[..., :1], IMAGE[..., [0, 0, 0]]),
        (torch.from_numpy(IMAGE[..., 1].copy()), IMAGE[..., [1, 1, 1]]),
        (torch.from_numpy(IMAGE[..., 1].copy())[None], IMAGE[..., [1, 1, 1]]),
        ((IMAGE / 127.5 - 1).astype('>f4'), IMAGE),
        (IMAGE / 127.5 - 1, IMAGE),
        (torch.from_numpy(IMAGE).permute(2, 0, 1).double() / 127.5 - 1, IMAGE),
        (Image.fromarray(IMAGE).convert('RGBA'), IMAGE),
    ],
)
def test_arrays_and_tensors(given, meant):
    (tensor,) = to_list(given, value_range=(-1, 1))
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor, plain(meant), atol=1e-6, rtol=0)


def test_batches():
    batch = np.stack([IMAGE, IMAGE[::-1]])
    for given in (batch, torch.from_numpy(batch).permute(0, 3, 1, 2), list(batch)):
        first, second = to_list(given)
        assert first.equal(plain(IMAGE)) and second.equal(plain(IMAGE[::-1]))
    assert len(to_list(batch[..., :1])) == 2


def test_read_only_arrays_are_copied():
    array = IMAGE.copy()
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        (tensor,) = to_list(array)
    assert tensor.equal(plain(IMAGE))


@pytest.mark.parametrize('low_high', [(0, 1), (0, 255), (-2.0, 6.0)])
def test_named_ranges(low_high):
    low, high = low_high
    scaled = low + (high - low) * (IMAGE / 255)
    (tensor,) = to_list(scaled, value_range=low_high)
    torch.testing.assert_close(tensor, plain(IMAGE), atol=1e-6, rtol=0)


def test_a_doubtful_range_is_one_warning():
    module._warn_once.cache_clear()
    unit = np.linspace(0, 1, 48, dtype=np.float32).reshape(4, 4, 3)
    with pytest.warns(UserWarning, match=r'from 0 to 1.*pass value_range=\(0, 1\)') as message:
        to_list([unit, unit])
        to_list(unit)
    assert len(message) == 1
    module._warn_once.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        to_list(unit, value_range=(-1, 1))
        to_list(unit - 0.5)
        to_list(np.zeros((4, 4, 3), np.float32))


def holding(value: float) -> np.ndarray:
    image = np.zeros((4, 4, 3), np.float32)
    image[1, 2, 0] = value
    return image


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (holding(np.nan), 'values that are infinite or NaN'),
        (torch.from_numpy(holding(np.inf)).permute(2, 0, 1), 'values that are infinite or NaN'),
        (holding(-1.1), r'must lie in \[-1, 1\], got values from -1.1 to 0; scale it, or pass'),
        (IMAGE.astype(int), r'must be uint8 or floats, .*, got int64 \(6, 5, 3\)'),
        (IMAGE[..., :2], r'must be uint8 or floats, .*, got uint8 \(6, 5, 2\)'),
        (IMAGE[:0], r'must not be empty, got shape \(3, 0, 5\)'),
        (torch.zeros(6, 5, 3), r'as a tensor must be \(3, H, W\).*got \(6, 5, 3\)'),
        (torch.zeros(3, 4, 4, dtype=torch.long), 'uint8 or floats, got torch.int64'),
        (None, 'must be a path, a PIL image, an array or a tensor, got NoneType'),
        ([[IMAGE]], 'must be a path, a PIL image, an array or a tensor, got list'),
        ('nothing.png', 'nothing.png cannot be read: there is no such file'),
    ],
)
def test_mistakes_in_images(image, message):
    with pytest.raises(UserError, match=message):
        to_list(image)
    with pytest.raises(UserError, match=r'value_range must be two increasing floats, got \(1, 0\)'):
        to_list(IMAGE, value_range=(1, 0))


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 9, 3), (5, 4, 3), (4, 4)])
def test_small_images(tokenizer, shape):
    (out,) = tokenizer.reconstruct(np.full(shape, 90, np.uint8))
    assert out.shape == (*shape[:2], 3) and out.dtype == np.uint8
    height, width = (
        -(-side // step) for side, step in zip(shape[:2], tokenizer.stride, strict=True)
    )
    assert tokenizer.encode(np.full(shape, 90, np.uint8)).shape == (1, height, width)


def test_indices_of_any_kind(tokenizer):
    indices = tokenizer.encode(IMAGE)
    out = tokenizer.decode(indices)
    assert out.shape == (1, 8, 8, 3)
    for given in (
        indices[0],
        indices.int(),
        indices[0].numpy(),
        indices.numpy().astype(np.uint16),
        indices.numpy().astype('>i4')[:, ::-1][:, ::-1],
    ):
        assert np.array_equal(tokenizer.decode(given), out)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (torch.zeros(1, 2, 2), 'must be integers .*, got torch.float32'),
        (torch.zeros(1, 2, 2, dtype=torch.bool), 'must be integers .*, got torch.bool'),
        (np.zeros((1, 2, 2)), 'must be integers .*, got float64'),
        (np.zeros(4, int), r'must have the shape \(B, h, w\), got \(4,\)'),
        (np.zeros((0, 2, 2), int), r'must not be empty, got shape \(0, 2, 2\)'),
        ([[1, 2], [3, 4]], 'in a tensor or an array, got list'),
        (np.full((2, 2), -1), 'from 0 to 255 .* got -1'),
        (np.full((2, 2), 256), 'from 0 to 255 .* got 256'),
    ],
)
def test_mistakes_in_indices(tokenizer, given, message):
    with pytest.raises(UserError, match=message):
        tokenizer.decode(given)


def test_a_broken_file_among_others(tokenizer, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_text('no image')
    files = [tmp_path / 'a.png', tmp_path / 'b.png', tmp_path / 'a.png']
    with pytest.raises(UserError, match='b.png cannot be read'):
        tokenizer.reconstruct(files)
    first, nothing, last = tokenizer.reconstruct(files, on_error='skip')
    assert nothing is None and first.shape == IMAGE.shape and np.array_equal(first, last)
    with pytest.raises(UserError, match='on_error must be one of raise, skip, got'):
        tokenizer.reconstruct(files, on_error='ignore')
    with pytest.raises(UserError, match='there are no images'):
        tokenizer.encode([])
    with pytest.raises(UserError, match='different sizes; encode them one by one'):
        tokenizer.encode([IMAGE, IMAGE[:1]])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_damaged_weights_give_no_indices(value):
    """Indices of damaged weights would look like any others."""
    tokenizer = Tokenizer.from_config('tiny/lfq_32')
    list(tokenizer.model.encoder.parameters())[-1].data[0] = value
    with pytest.raises(UserError, match='NaN or infinity for these images: the weights'):
        tokenizer.encode(IMAGE)
