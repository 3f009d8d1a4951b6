"""tools/reconstruct.py as a command: exit codes, file names and outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from openmagvit2.apis import Tokenizer, init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.evaluation.images import ImageSet


@pytest.fixture
def run(tmp_path, tool, request):
    config = getattr(request, 'param', 'tiny/lfq_32')
    torch.manual_seed(0)
    checkpoint = tmp_path / 'model.pth'
    write_checkpoint(dict(state_dict=init_model(config).state_dict()), checkpoint)
    return lambda *arguments: tool(
        'reconstruct', config, checkpoint, *arguments, '--out-dir', tmp_path / 'out'
    )


def photograph(path: Path, seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path)
    return image


def test_a_broken_file_does_not_stop_the_rest(run, tmp_path):
    photos = tmp_path / 'photos'
    images = [photograph(photos / name, i) for i, name in enumerate(('a.png', 'c [1].png'))]
    (photos / 'b.jpg').write_text('<html>')
    (photos / '._a.png').write_text('')
    code, out, errors = run(photos)
    assert code == 1 and '2 reconstructions and grid.png in' in out
    lines = [line for line in errors.splitlines() if line.startswith('error: ')]
    assert len(lines) == 2 and 'b.jpg cannot be read: no image format' in lines[0]
    assert lines[1] == 'error: 1 of 3 images cannot be reconstructed'
    # The numbers are those of the inputs; evaluate_npz can read the folder.
    files = sorted((tmp_path / 'out').glob('0*.png'))
    assert [path.name for path in files] == ['00000_a.png', '00002_c [1].png']
    tokenizer = Tokenizer.from_config('tiny/lfq_32', tmp_path / 'model.pth')
    (batch,) = ImageSet(tmp_path / 'out').batches(10)
    assert np.array_equal(batch, tokenizer.reconstruct(images))


@pytest.mark.parametrize('run', ['tiny/var_tokenizer_32'], indirect=True)
def test_an_image_of_another_size_does_not_stop_the_rest(run, tmp_path):
    for name, side in (('a', 32), ('b', 48), ('c', 32)):
        path = tmp_path / 'photos' / f'{name}.png'
        path.parent.mkdir(exist_ok=True)
        Image.new('RGB', (side, side)).save(path)
    code, out, errors = run(tmp_path / 'photos')
    assert code == 1 and '2 reconstructions and grid.png in' in out
    assert 'b.png: ' in errors and '--size N resizes it to a square' in errors
    assert run(tmp_path / 'photos', '--size', '32')[0] != 0  # other settings, same folder


def test_nothing_can_be_read(run, tmp_path):
    (tmp_path / 'b.jpg').write_text('')
    code, out, errors = run(tmp_path / 'b.jpg')
    assert code == 1
    assert '0 reconstructions in' in out
    assert 'b.jpg cannot be read: it is empty' in errors


def test_mistakes_come_before_the_work(run, tmp_path):
    photograph(tmp_path / 'photos' / 'a.png')
    for arguments, message in (
        ([tmp_path / 'photos', tmp_path / 'nothing.png'], 'nothing.png does not exist'),
        ([tmp_path / 'photos', '--background', 'whitte'], "background='whitte' is not a color"),
        ([tmp_path / 'photos', '--size', '0'], 'size must be a number of pixels'),
    ):
        code, _, errors = run(*arguments)
        assert code == 2 and message in errors
    assert not (tmp_path / 'out').exists()


def test_reconstructions_are_not_mixed(run, tmp_path):
    photograph(tmp_path / 'photos' / 'a.png')
    assert run(tmp_path / 'photos')[0] == 0
    code, out, _ = run(tmp_path / 'photos')
    assert code == 0 and 'has reconstructions of the same tokenizer; those with the number' in out
    before = (tmp_path / 'out' / '00000_a.png').read_bytes()
    torch.manual_seed(1)
    other = dict(state_dict=init_model('tiny/lfq_32').state_dict())
    write_checkpoint(other, tmp_path / 'model.pth')
    code, _, errors = run(tmp_path / 'photos')
    assert code == 2 and 'contains reconstructions with other settings (weights)' in errors
    (tmp_path / 'out' / 'reconstructions.json').unlink()
    code, _, errors = run(tmp_path / 'photos')
    assert code == 2 and 'but no reconstructions.json with their settings' in errors
    assert (tmp_path / 'out' / '00000_a.png').read_bytes() == before


def test_the_grid_shows_large_images_small(run, tmp_path):
    photos = tmp_path / 'photos'
    photos.mkdir()
    for name, size in (('a.png', (1600, 8)), ('b.png', (8, 1100))):
        Image.new('RGB', size, (0, 90, 200)).save(photos / name)
    assert run(photos)[0] == 0
    assert size_of(tmp_path / 'out' / '00000_a.png') == (1600, 8)
    # Two columns and two rows of cells of 512 pixels, 2 between them.
    assert size_of(tmp_path / 'out' / 'grid.png') == (1026, 1026)


def test_long_names(run, tmp_path):
    name = 'ü' * 120
    photograph(tmp_path / 'photos' / f'{name}.png')
    code, _, _ = run(tmp_path / 'photos')
    assert code == 0 and (tmp_path / 'out' / f'00000_{name[:60]}.png').is_file()


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_size_is_cut_out_of_the_middle(run, tmp_path):
    photograph(tmp_path / 'photos' / 'a.png')
    assert run(tmp_path / 'photos', '--size', '16')[0] == 0
    assert size_of(tmp_path / 'out' / '00000_a.png') == (16, 16)
    code, _, errors = run(tmp_path / 'photos')
    assert code == 2 and 'with other settings (size)' in errors


@pytest.mark.parametrize('run', ['tiny/titok_32'], indirect=True)
def test_a_tokenizer_of_one_size_gets_it(run, tmp_path):
    photograph(tmp_path / 'photos' / 'a.png')
    code, out, _ = run(tmp_path / 'photos')
    assert code == 0 and 'accepts only 32x32: images are resized to cover that' in out
    assert size_of(tmp_path / 'out' / '00000_a.png') == (32, 32)
    code, _, errors = run(tmp_path / 'photos', '--size', '16')
    assert code == 2 and 'The image is 16x16' in errors and 'only accepts 32x32' in errors
