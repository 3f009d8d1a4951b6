"""Samples as one ADM-style npz: what the evaluators of the field read."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.dist import get_dist_info, is_main_process
from tqdm import tqdm

from openmagvit2.apis.generator import Generator
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.errors import UserError
from openmagvit2.evaluation.rejection import Rejection
from openmagvit2.evaluation.sample_labels import RANDOM, by_class, listed, sample_pairs
from openmagvit2.io import claim, usable_text, write_atomically
from openmagvit2.processes import long_barrier, on_main

Jobs = Sequence[tuple[int, int]]


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
    """Write ``arr_0`` uint8 (N, H, W, 3) and ``arr_1`` int64 (N,), by class or drawn; resumable.

    Processes write parts to ``<out>.parts``, which are then merged. Return the number of images.

    Args:
        generator: Generator to sample from.
        out: File to write.
        labels: Classes in file order; -1, stored as ``num_classes``, is the null class;
            ``'random'`` draws that of each image.
        num_per_class: Images per class; of drawn classes on average.
        seed: Random seed for sampling.
        batch_size: Images per call of the generator.
        part: Images between two marks of progress; with a rejection, these are classes.
        rejection: Keep the most probable of more samples.
        sampling: See :meth:`Generator.sample`.

    Raises:
        UserError: The file exists or cannot be written, parts of other settings exist, or a label
            or a setting is wrong.
    """
    out = Path(out)
    _check_target(out)
    labels, drawn = _checked(generator, labels, seed, rejection, sampling)
    jobs = sample_pairs(labels, num_per_class, seed, drawn)
    folder = out.with_name(f'{out.name}.parts')
    settings = dict(
        labels=RANDOM if drawn else labels, num_per_class=num_per_class, seed=seed, part=part
    )
    settings |= identity(generator, sampling, rejection)
    on_main(lambda: claim(folder, settings, 'settings.json', 'part_*.npy', 'parts'))
    parts = [jobs[i : i + part] for i in range(0, len(jobs), part)]
    parts = list(by_class(jobs)) if rejection else parts
    how = dict(seed=seed, batch_size=batch_size, rejection=rejection, **sampling)
    _write_parts(partial(generator.sample_pairs, **how), folder, parts)
    long_barrier()
    if is_main_process():
        _merge(folder, out, [label for jobs in parts for label, _ in jobs], len(parts))
    long_barrier()
    return len(jobs)


def _checked(
    generator: Generator,
    labels: Sequence[int] | str,
    seed: int,
    rejection: Rejection | None,
    sampling: dict,
) -> tuple[list[int], bool]:
    """Return the classes, and whether they are drawn, before a folder is made."""
    conditioner = generator.model.conditioner
    classes, drawn = listed(labels, conditioner, 'labels')
    generator.model.check(classes, generator.sampling | sampling, seed, once=True)
    _, keys = conditioner.requests(classes)
    if rejection:
        rejection.prepare(keys, generator.device)
    return keys, drawn


def _check_target(out: Path) -> None:
    if out.suffix != '.npz':
        raise UserError(f'{out}: the name of the file must end in .npz.')
    if usable_text(out).exists():
        raise UserError(f'{out} exists; remove it or give another name.')


def identity(generator: Generator, sampling: dict, rejection: Rejection | None) -> dict:
    """Return the weights, the sampling settings, and what is not as by default."""
    identity = dict(weights=weights_hash(generator.model), sampling=generator.sampling | sampling)
    if generator.model.output_size:
        identity.update(size=generator.model.output_size)
    if rejection:
        identity.update(rejection=rejection.key())
    return identity


def _write_parts(draw: Callable[[Jobs], np.ndarray], folder: Path, parts: Sequence[Jobs]) -> None:
    """Sample and write the missing parts of this process.

    Args:
        draw: Samples the images of a part.
        folder: Folder of the parts.
        parts: (label, number) of the images of each part.
    """
    rank, world = get_dist_info()
    left = [
        number
        for number in range(len(parts))
        if number % world == rank and not _part(folder, number).exists()
    ]
    for number in tqdm(left, desc='parts', disable=not is_main_process()):
        images = draw(parts[number])
        with write_atomically(_part(folder, number)) as file:
            np.save(file, images)


def _part(folder: Path, number: int) -> Path:
    return folder / f'part_{number:06d}.npy'


def _read(part: Path) -> np.ndarray:
    try:
        return np.load(part, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f'{part} cannot be read ({error}); remove it, and start again with the same settings.'
        ) from None


def _merge(folder: Path, out: Path, labels: list[int], parts: int) -> None:
    """Stream the parts into the zip file, with memory for one part, and remove them."""
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
