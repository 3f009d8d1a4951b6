"""Sampling to an npz in ADM's layout, which common evaluators read."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import get_dist_info, is_main_process
from tqdm import tqdm

from openmagvit2.apis.generator import Generator
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.errors import UserError
from openmagvit2.evaluation.rejection import Rejection
from openmagvit2.evaluation.sample_set import Pairs, SampleSet
from openmagvit2.io import claim, map_array, usable_text, write_atomically
from openmagvit2.processes import long_barrier, on_main


def sample_npz(
    generator: Generator,
    out: str | Path,
    labels: Sequence[int] | str,
    num_per_class: int,
    seed: int = 0,
    batch_size: int = 50,
    part: int = 500,
    rejection: Rejection | None = None,
    **sampling,
) -> int:
    """Write images ``arr_0`` uint8 (N, H, W, 3) and labels ``arr_1`` int64 (N,); resumable.

    Processes write parts to ``<out>.parts``, which are then merged.

    Args:
        generator: Generator to sample from.
        out: File to write.
        labels: Classes in file order; -1, stored as ``num_classes``, is the null class;
            ``'random'`` draws the class of each image.
        num_per_class: Images per class; with random classes, on average.
        seed: Random seed for sampling.
        batch_size: Images per call of the generator.
        part: Images per part; with a rejection, a part is a class.
        rejection: Draw more samples, and keep the most probable.
        sampling: See :meth:`Generator.sample`.

    Returns:
        The number of images.

    Raises:
        UserError: The file exists or cannot be written, there are parts with other settings, or a
            label or a setting is wrong.
    """
    out = Path(out)
    _check_target(out)
    if not isinstance(labels, str):
        _, labels = generator.model.conditioner.requests(labels)
    settings = generator.sampling | sampling
    samples = SampleSet(generator.model, labels, num_per_class, settings, seed, rejection)
    folder = out.with_name(f'{out.name}.parts')
    made = dict(labels=labels, num_per_class=num_per_class, seed=seed, part=part)
    made |= identity(samples)
    on_main(lambda: claim(folder, made, 'settings.json', 'part_*.npy', 'parts'))
    parts = samples.parts(part)
    _write_parts(samples, folder, parts, batch_size)
    long_barrier()
    order = [label for pairs in parts for label, _ in pairs]
    on_main(lambda: _merge(folder, out, order, len(parts)), wait=long_barrier)
    return len(samples.pairs)


def _check_target(out: Path) -> None:
    if out.suffix != '.npz':
        raise UserError(f'{out}: the name of the file must end in .npz.')
    if usable_text(out).exists():
        raise UserError(f'{out} exists already; remove it or choose another name.')


def identity(samples: SampleSet) -> dict:
    """Return the settings that determine the samples, for comparison with another call."""
    identity = dict(weights=weights_hash(samples.model), sampling=samples.sampling)
    if samples.model.output_size:
        identity.update(size=samples.model.output_size)
    if samples.rejection:
        identity.update(rejection=samples.rejection.key())
    return identity


def _write_parts(samples: SampleSet, folder: Path, parts: Sequence[Pairs], batch_size: int) -> None:
    """Sample and write the missing parts that belong to this process."""
    rank, world = get_dist_info()
    left = [
        number
        for number in range(len(parts))
        if number % world == rank and not _part(folder, number).exists()
    ]
    for number in tqdm(left, desc='parts', disable=not is_main_process()):
        images = samples.images(parts[number], batch_size).movedim(1, -1)
        with write_atomically(_part(folder, number)) as file:
            np.save(file, images.cpu().numpy())


def _part(folder: Path, number: int) -> Path:
    return folder / f'part_{number:06d}.npy'


def _read(part: Path) -> np.ndarray:
    return map_array(part, '; remove it, and start again with the same settings')


def _merge(folder: Path, out: Path, labels: list[int], parts: int) -> None:
    """Stream the parts into the zip file, one at a time in memory, and remove them."""
    shape = _read(_part(folder, 0)).shape
    with (
        write_atomically(out) as whole,
        zipfile.ZipFile(whole, 'w', zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        with archive.open('arr_0.npy', 'w', force_zip64=True) as file:
            header = dict(descr='|u1', fortran_order=False, shape=(len(labels), *shape[1:]))
            np.lib.format.write_array_header_1_0(file, header)
            for number in range(parts):
                file.write(_read(_part(folder, number)).tobytes())
        with archive.open('arr_1.npy', 'w') as file:
            np.lib.format.write_array(file, np.asarray(labels, np.int64))
    shutil.rmtree(folder)
