"""Samples as one ADM-style npz: what the evaluators of the field read."""

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.dist import broadcast_object_list, get_dist_info, is_main_process
from tqdm import tqdm

from openmagvit2.apis.generator import Generator
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.engine.launch import long_barrier
from openmagvit2.errors import UserError
from openmagvit2.evaluation.rejection import Rejection
from openmagvit2.evaluation.sample_labels import RANDOM, by_class, listed, sample_pairs
from openmagvit2.io import claim, write_atomically

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

    Processes write parts to ``<out>.parts``, which are then merged. A sample depends on (seed,
    class, number) alone.

    Args:
        generator: Generator to sample from.
        out: File to write.
        labels: Classes in file order; -1, stored as ``num_classes``, is the null class.
            ``'random'`` draws the class of each image among all classes.
        num_per_class: Images per class; of drawn classes on average.
        seed: Random seed for sampling.
        batch_size: Images per call of the generator.
        part: Images between two marks of progress.
        rejection: Keep the most probable of more samples, class by class, which the parts then are.
        sampling: See :meth:`Generator.sample`.

    Returns:
        Images in the file.

    Raises:
        UserError: The file exists, or parts of other settings do; it cannot be written; a label is
            out of range or twice there, or a setting is wrong.
    """
    out = Path(out)
    _check_target(out)
    classes, drawn = listed(labels, generator.model.conditioner, 'labels')
    # Before a folder is made: mistakes leave nothing behind.
    generator.model.check(classes, generator.sampling | sampling, seed, once=True)
    _, keys = generator.model.conditioner.requests(classes)
    settings = dict(labels=RANDOM if drawn else keys, num_per_class=num_per_class, seed=seed)
    settings |= dict(part=part) | _identity(generator, sampling)
    if rejection:
        rejection.prepare(keys, generator.device)
        settings |= dict(rejection=rejection.key())
    folder = out.with_name(f'{out.name}.parts')
    _begin(folder, settings)
    jobs = sample_pairs(keys, num_per_class, seed, drawn)
    chunks = [jobs[start : start + part] for start in range(0, len(jobs), part)]
    parts = list(by_class(jobs)) if rejection else chunks
    draw = partial(generator.sample_pairs, seed=seed, batch_size=batch_size, **sampling)
    _write_parts(partial(draw, rejection=rejection), folder, parts)
    long_barrier()
    if is_main_process():
        _merge(folder, out, [label for jobs in parts for label, _ in jobs], len(parts))
    long_barrier()
    return len(jobs)


def _check_target(out: Path) -> None:
    if out.suffix != '.npz':
        raise UserError(f'{out}: the name of the file must end in .npz.')
    if out.exists():
        raise UserError(f'{out} exists; remove it or give another name.')


def _identity(generator: Generator, sampling: dict) -> dict:
    """Return weights, sampling settings and a size other than the model's, as JSON has them."""
    size = generator.model.output_size
    return dict(
        weights=weights_hash(generator.model),
        sampling=json.loads(json.dumps(generator.sampling | sampling)),
    ) | (dict(size=list(size)) if size else {})


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


def _begin(folder: Path, settings: dict) -> None:
    """Make the folder, or find it with the same settings; all processes get the same answer."""
    answer = [_claim(folder, settings) if is_main_process() else None]
    broadcast_object_list(answer)
    if answer[0]:
        raise UserError(answer[0])


def _claim(folder: Path, settings: dict) -> str | None:
    """Return what is wrong with the folder, if anything."""
    try:
        claim(folder, settings, 'settings.json', 'part_*.npy', 'parts')
    except UserError as error:
        return str(error)
    return None


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
