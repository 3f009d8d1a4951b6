"""Conversion of checkpoints, as in ``tools/convert_checkpoint.py``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor, nn

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import (
    TRAINING_ONLY,
    check_weights,
    choose_weights,
    dataset_meta,
    is_ours,
    read_checkpoint,
    read_checkpoints,
    save_atomically,
    to_official,
    to_ours,
    write_checkpoint,
)
from openmagvit2.checkpoint.containers import packed
from openmagvit2.checkpoint.converters import Converter, choose
from openmagvit2.checkpoint.faults import is_finite
from openmagvit2.checkpoint.mapped import EVERY, release
from openmagvit2.checkpoint.names import fitted
from openmagvit2.checkpoint.sharded import is_sharded
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.checkpoint.transfer import Misfit, Report
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder, usable, usable_text
from openmagvit2.workflows.resembling import advice
from openmagvit2.workflows.tokenizer_inside import compare_or_add


def convert(
    sources: Sequence[str | Path],
    target: str | Path,
    config: str | Path,
    *,
    to: str = 'ours',
    weights: str = 'both',
    tokenizer: str | Path | None = None,
    cfg_options: dict | None = None,
    system: str | None = None,
    entry: str | None = None,
) -> None:
    """Convert a checkpoint, print the report and write the result.

    Args:
        sources: Files to read, which are joined. A sharded checkpoint becomes a single file.
        target: File to write.
        config: Config of the model.
        to, weights: 'ours' or 'official'; 'both', 'ema' or 'raw'.
        tokenizer: File of a generator's tokenizer: compared with that in the sources, or added.
        cfg_options: Overrides for the config.
        system: Name of the converter, if several systems have files of this model.
        entry: Which weights of the source; see :func:`openmagvit2.checkpoint.read_checkpoint`.

    Raises:
        UserError: A file cannot be read, or does not fit the config.
    """
    target = _checked_target(sources, Path(target), to)
    model = init_model(config, device='meta', cfg_options=cfg_options or None)
    if to == 'ours' and any(map(is_sharded, sources)):
        _gather(sources, target, model, weights)
        return
    if tokenizer and not is_generator(model):
        raise UserError('--tokenizer is only for files of generators; leave it out.')
    mapped = [*sources, *([tokenizer] if tokenizer else [])]
    with Spill(target.parent, mapped) as spill:
        file = _read(sources, entry, model, system)
        with _about(sources):
            converter = choose(model, None if to == 'official' else file['state_dict'], system)
            if to == 'ours' and is_ours(file, model):
                content = _in_another_format(file, model, sources[0], target, entry)
            else:
                content = _converted(file, model, to, weights, converter, spill)
        ours = (file if to == 'official' else content)['state_dict']
        if tokenizer:
            print(compare_or_add(ours, tokenizer, model.tokenizer, add=to == 'ours'))
        with _about(mapped):
            _check_finite(file if to == 'official' else content, spill.pages)
        print(bit_order_note(model, ours), end='')
        _write(content, target, to, converter, spill.pages)


@contextmanager
def _about(sources: Sequence[str | Path]) -> Iterator[None]:
    """Add the names of the files to an error about their content that does not name them, and say
    which published file they resemble if they do not fit the config.
    """
    try:
        yield
    except UserError as error:
        names, text = list(map(str, sources)), str(error)
        if isinstance(error, Misfit) and (found := advice(error.converter, error.state)):
            text = f'{error.problem} {found}'
        elif any(name in text for name in names):
            raise
        raise UserError(f'{", ".join(names)}: {text}') from error


def _read(
    sources: Sequence[str | Path], entry: str | None, model: nn.Module, system: str | None
) -> dict:
    """Return the content of files, with names that fit the model."""
    with _about(sources):
        file = read_checkpoints(sources, entry)
        return fitted(file, model, f'Checkpoint {sources[0]}', system)


def _converted(
    file: dict, model: nn.Module, to: str, weights: str, converter: Converter, spill: Spill
) -> dict:
    """Return the converted content of a file; print the report."""
    if to == 'official':
        content, report = to_official(file, model, weights, converter, spill)
        return _reported(file, content, report, bare=converter.bare)
    return _reported(file, *to_ours(file['state_dict'], model, weights, converter, spill))


def _check_finite(content: dict, sources: Sequence[str | Path]) -> None:
    """Raise UserError if a weight is NaN or infinite: the model would compute nothing of use.

    Args:
        content: Our weights; the masks of some official files have infinite numbers.
        sources: Files that the weights are mapped from; their pages are released meanwhile.
    """
    paths, read = {str(Path(path).resolve()) for path in sources}, 0
    for weights in ('state_dict', 'ema_state_dict'):
        for name, tensor in content.get(weights, {}).items():
            if not is_finite(tensor):
                raise UserError(
                    f'{name} has NaN or infinite numbers: the file is damaged, or its training '
                    f'diverged; download it again, or use another checkpoint.'
                )
            read += tensor.nbytes
            if read >= EVERY:
                release(paths)
                read = 0


def _reported(file: dict, content: dict, report: Report, bare: bool = False) -> dict:
    """Return the content to write: converted tensors, and names of classes; print the report.

    Args:
        file: Content that was read.
        content: Converted weights.
        report: Report on the tensors.
        bare: Whether the system's files contain only weights.
    """
    meta = {} if bare else dataset_meta(file)
    kept = dict(meta=dict(dataset_meta=meta)) if meta else {}
    beside = [str(key) for key in file if key not in ('state_dict', 'ema_state_dict', *kept)]
    report.add(', '.join(beside), len(beside), 'not read: entries other than the weights')
    print(report)
    return content | kept


def _gather(sources: Sequence[str | Path], target: Path, model: nn.Module, weights: str) -> None:
    """Write a sharded checkpoint as one file; training can resume from ``.pth`` with 'both'."""
    if len(sources) > 1:
        raise UserError(f'{sources[0]} is a sharded checkpoint; pass no other files.')
    shapes = read_checkpoint(sources[0], values=False)
    check_weights(model, shapes['state_dict'], f'Checkpoint {sources[0]}', TRAINING_ONLY)
    content = read_checkpoint(sources[0])
    if weights != 'both':
        content = dict(state_dict=choose_weights(content, weights == 'ema'), meta=content['meta'])
    content['meta']['sharded'] = False
    make_folder(target.parent)
    write_checkpoint(content, target)
    print(f'{sources[0]}: one file with {", ".join(content)}.')


def _in_another_format(
    file: dict, model: nn.Module, source: str | Path, target: Path, entry: str | None
) -> dict:
    """Return the content to write for a file that is ours already; print the report.

    Args:
        file: Content of the file.
        model: The model of the config.
        source: Path of the file.
        target: File to write, in the other format unless ``entry`` selects some weights.
        entry: See :func:`convert`.

    Raises:
        UserError: Nothing would change, or the file does not fit the config.
    """
    if entry is None and Path(source).suffix == target.suffix:
        raise UserError(
            'The file is already in our layout; convert it with --to official, or choose a '
            'target with the other extension, .pth or .safetensors.'
        )
    check_weights(model, file['state_dict'], f'Checkpoint {source}', TRAINING_ONLY)
    kept = {key: file[key] for key in ('state_dict', 'ema_state_dict') if file.get(key)}
    report = Report([('all', len(file['state_dict']), 'kept: ours, in another format')])
    return _reported(file, kept, report)


def _checked_target(sources: Sequence[str | Path], target: Path, to: str) -> Path:
    """Return the target, which must have the extension of a checkpoint and not be a source."""
    if target.suffix not in ('.pth', '.safetensors') and not (
        target.suffix == '.ckpt' and to == 'official'
    ):
        raise UserError(
            f'{target}: write a checkpoint as .pth or .safetensors (official ones also as .ckpt).'
        )
    usable_text(target)
    for source in map(usable, sources):
        if source.exists() and target.exists() and source.samefile(target):
            raise UserError(f'{target} is the source itself; choose another target.')
    return target


def bit_order_note(model: nn.Module, state: dict[str, Tensor]) -> str:
    """Return a line if the config's order of bits differs from the file's, else ''.

    Pixels are correct in either order, but indices are not. Files of v1 have no adaptive norm.
    """
    order = None if is_generator(model) else model.quantizer.bit_order
    expected = 'lsb' if any(name.startswith('decoder.adaptive.') for name in state) else 'msb'
    if order in (None, expected):
        return ''
    version = 'with adaptive norm (v2)' if expected == 'lsb' else 'without adaptive norm (v1)'
    return (
        f'note: official tokenizers {version} count indices with '
        f"model.quantizer.bit_order='{expected}'; the config has '{order}'.\n"
    )


def _write(
    content: dict, target: Path, to: str, converter: Converter, sources: Sequence[str | Path]
) -> None:
    """Write the converted content; a tokenizer with a separate file is written next to it."""
    make_folder(target.parent)
    if to == 'ours':
        write_checkpoint(content, target, sources=sources)
        return
    state = content['state_dict']
    tokenizer = {name: x for name, x in state.items() if name.startswith(converter.tokenizer)}
    # The file of a tokenizer itself stays in one piece.
    if tokenizer and len(tokenizer) < len(state):
        state = {name: x for name, x in state.items() if name not in tokenizer}
        beside = target.with_name(f'{target.stem}_tokenizer{target.suffix}')
        print(f'tokenizer: in a separate file, as in this system: {beside}')
        _write_official(dict(state_dict=tokenizer), beside, converter, sources)
    _write_official(content | dict(state_dict=state), target, converter, sources)


def _write_official(
    content: dict, target: Path, converter: Converter, sources: Sequence[str | Path]
) -> None:
    """Write a file in the system's layout; a .safetensors file has no dicts, only names."""
    if target.suffix == '.safetensors':
        write_checkpoint(content, target, sources=sources)
        return
    others = {} if converter.bare else {k: v for k, v in content.items() if k != 'state_dict'}
    save_atomically(packed(content['state_dict'], converter) | others, target, sources)
