"""Data sets, tar shards, the API and the tools read odd files alike."""

import io
import itertools
import logging
import runpy
import tarfile
from pathlib import Path

import numpy as np
import pytest
from odd_files import BASE, HIDDEN, encoded, readable, refused, write_files
from PIL import Image

from openmagvit2.apis.images import to_list
from openmagvit2.datasets import ImageFolder, TarShards, shards
from openmagvit2.errors import UserError
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.io import find_images, gather_images, read_image
from openmagvit2.visualization import save_grid

pytestmark = pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
GOOD, BAD = readable(), refused()
TOOL = runpy.run_path(str(Path(__file__).parents[2] / 'tools' / 'reconstruct.py'))


class Mirror:
    """A tokenizer without loss."""

    def reconstruct(self, image: np.ndarray) -> list[np.ndarray]:
        return [image]


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('odd') / 'files [of] all kinds'
    write_files(folder, GOOD | BAD)
    write_files(folder, {name: (encoded(Image.fromarray(BASE), 'PNG'),) for name in HIDDEN})
    # A link to another folder, and one to its own parent.
    elsewhere = folder.parent / 'elsewhere'
    write_files(elsewhere, {'linked.png': GOOD['plain.png']})
    (folder / 'link').symlink_to(elsewhere)
    (folder / 'deep' / 'back').symlink_to(folder)
    (folder / 'itself').symlink_to(folder / 'itself')
    (folder / 'gone.jpg').symlink_to(folder / 'nowhere.jpg')
    save_grid([[BASE, BASE]], folder / 'deep')
    return folder


def expected(name: str) -> tuple[np.ndarray, int]:
    _, pixels, *tolerance = GOOD['plain.png' if name == 'link/linked.png' else name]
    return pixels, (tolerance or [0])[0]


ALL_GOOD = sorted([*GOOD, 'link/linked.png'])
ALL_BAD = {**{name: reason for name, (_, reason) in BAD.items()}, 'gone.jpg': 'no such file'}


def check(images: dict[str, np.ndarray], errors: dict[str, str]) -> None:
    assert sorted(images) == ALL_GOOD
    for name, image in images.items():
        pixels, tolerance = expected(name)
        assert image.dtype == np.uint8 and image.shape == pixels.shape, name
        assert np.abs(image - pixels.astype(float)).max() <= tolerance, name
    assert errors.keys() <= ALL_BAD.keys()
    for name, text in errors.items():
        assert ALL_BAD[name] in text and name in text and '\n' not in text, text


def test_names_are_found_alike(folder):
    found = [path.relative_to(folder).as_posix() for path in find_images(folder)]
    assert sorted(found) == sorted([*ALL_GOOD, *ALL_BAD])
    assert found == sorted(found, key=lambda name: name.split('/'))
    for others in (
        [path for path, _ in ImageFolder(data_root=str(folder)).samples],
        ImageSet(folder).files,
        gather_images([str(folder)]),
    ):
        assert [path.relative_to(folder).as_posix() for path in others] == found


def test_data_set(folder):
    data = ImageFolder(data_root=str(folder))
    images, errors = {}, {}
    for i, (path, _) in enumerate(data.samples):
        name = path.relative_to(folder).as_posix()
        try:
            images[name] = data[i]['image'].permute(1, 2, 0).numpy()
        except UserError as error:
            errors[name] = str(error)
            assert "replace or remove it, or set the data set's on_error='skip'." in errors[
                name
            ] or (errors[name].endswith("or set the data set's on_error='skip'."))
    check(images, errors)
    assert errors.keys() == ALL_BAD.keys()


def test_data_set_that_skips(folder):
    data = ImageFolder(data_root=str(folder), on_error='skip')
    assert sorted(path.relative_to(folder).as_posix() for path, _ in data.samples) == ALL_GOOD


def test_tar_shard(folder, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        shards, 'print_log', lambda text, logger, level: logged.append((text, level))
    )
    names = [*ALL_GOOD, *BAD]
    with tarfile.open(tmp_path / '0.tar', 'w') as tar:
        for name in [*(name for name in HIDDEN if name != 'notes.txt'), *names]:
            content = (folder / name).read_bytes()
            info = tarfile.TarInfo(f'./{name}')
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    data = TarShards(urls=str(tmp_path / '0.tar'), resampled=False, shuffle=1)
    # One more than there are, to reach the end of the shard.
    samples = list(itertools.islice(data, len(ALL_GOOD) + 1))
    assert samples[0]['label'] == -1 and samples[0]['image'].equal(samples[-1]['image'])
    images = [sample['image'].permute(1, 2, 0).numpy() for sample in samples[:-1]]
    assert {level for _, level in logged} == {logging.ERROR}
    texts = [text.replace(': ./', ' ./') for text, _ in logged]
    stems = {name: str(Path(name).with_suffix('')) for name in BAD}
    errors = {
        name: next(text for text in texts if f'./{stem} ' in text).replace(f'./{stem} ', f'{name} ')
        for name, stem in stems.items()
    }
    assert len(logged) == len(BAD)
    check(dict(zip(ALL_GOOD, images, strict=True)), errors)


def test_the_api(folder):
    images, errors = {}, {}
    for name in [*ALL_GOOD, *ALL_BAD]:
        try:
            (tensor,) = to_list(str(folder / name))
        except UserError as error:
            errors[name] = str(error)
        else:
            images[name] = ((tensor + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    check(images, errors)
    assert errors.keys() == ALL_BAD.keys()


def test_the_api_with_open_images_and_bytes():
    for name, (content, pixels, *tolerance) in GOOD.items():
        image = Image.open(io.BytesIO(content))
        for source in (image, content, io.BytesIO(content)):
            (tensor,) = to_list([source])
            read = (tensor + 1) * 127.5
            assert (
                np.abs(read.permute(1, 2, 0).numpy() - pixels).max() <= (tolerance or [0])[0] + 1e-3
            ), name


def test_reconstruct(folder, tmp_path):
    files = gather_images([str(folder)])
    broken = TOOL['reconstruct'](Mirror(), files, tmp_path, 'white')
    names = {
        f'{i:05d}_{path.stem}': path.relative_to(folder).as_posix() for i, path in enumerate(files)
    }
    written = {path.stem: path for path in tmp_path.iterdir() if path.name != 'grid.png'}
    images = {names[stem]: np.asarray(Image.open(path)) for stem, path in written.items()}
    errors = {Path(error.name).relative_to(folder).as_posix(): str(error) for error in broken}
    check(images, errors)
    assert errors.keys() == ALL_BAD.keys()
    # The output of the tool is a set of images, without the grid.
    assert len(find_images(tmp_path)) == len(ALL_GOOD) and (tmp_path / 'grid.png').is_file()


def test_image_set(folder, tmp_path):
    images, errors = {}, {}
    for i, name in enumerate([*ALL_GOOD, *ALL_BAD]):
        alone = tmp_path / str(i) / Path(name).name
        alone.parent.mkdir()
        alone.symlink_to(folder / name)
        try:
            ((images[name],),) = ImageSet(alone.parent).batches(4)
        except UserError as error:
            errors[name] = str(error)
            assert errors[name].endswith(', or leave such files out with --skip-broken.')
    check(images, errors)
    assert errors.keys() == ALL_BAD.keys()


@pytest.mark.parametrize('background', ['black', '#804020', (7, 8, 9)])
def test_backgrounds_are_alike(folder, tmp_path, background):
    path = folder / 'rgba.png'
    image = read_image(path, background)
    assert not np.array_equal(image, read_image(path))
    write_files(tmp_path / 'one', {'rgba.png': GOOD['rgba.png']})
    data = ImageFolder(data_root=str(tmp_path / 'one'), background=background)
    assert np.array_equal(data.load(0)[0], image)
    ((of_set,),) = ImageSet(tmp_path / 'one', background=background).batches(1)
    assert np.array_equal(of_set, image)
    (tensor,) = to_list(path, background=background)
    assert np.array_equal(((tensor + 1) * 127.5).round().byte().permute(1, 2, 0), image)
    with tarfile.open(tmp_path / 'x.tar', 'w') as tar:
        tar.add(path, 'rgba.png')
    shard = TarShards(urls=str(tmp_path / 'x.tar'), background=background, shuffle=1)
    assert np.array_equal(next(iter(shard))['image'].permute(1, 2, 0), image)
    TOOL['reconstruct'](Mirror(), [path], tmp_path, background)
    assert np.array_equal(np.asarray(Image.open(tmp_path / '00000_rgba.png')), image)
