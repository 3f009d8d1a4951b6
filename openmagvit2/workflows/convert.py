"""What ``tools/convert_checkpoint.py`` does: read, convert, report, write."""

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
from openmagvit2.checkpoint.convert import Report
from openmagvit2.checkpoint.converters import Converter, choose, is_official
from openmagvit2.checkpoint.entries import fitted, official_names
from openmagvit2.checkpoint.sharded import is_sharded
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder, usable, usable_text


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
    """Convert, print the report, write.

    Args:
        sources: File to read; several are joined. A sharded checkpoint becomes one file.
        target: File to write.
        config: Config of the model.
        to: 'ours' or 'official'.
        weights: 'both', 'ema' or 'raw'.
        tokenizer: File of a generator's tokenizer: compared with that in the sources, or put in.
        cfg_options: Overrides for the config.
        system: Name of the converter, where several systems have files of one model.
        entry: Which weights of the source, where it has several: the path of an entry, or what
            their names begin with; see :func:`openmagvit2.checkpoint.read_checkpoint`.

    Raises:
        UserError: A file cannot be read, or does not fit the config.
    """
    target = Path(target)
    _check_target(sources, target, to)
    model = init_model(config, device='meta', cfg_options=cfg_options or None)
    if to == 'ours' and any(map(is_sharded, sources)):
        _gather(sources, target, model, weights)
        return
    if tokenizer and not is_generator(model):
        raise UserError('--tokenizer goes with the file of a generator.')
    mapped = [*sources, *([tokenizer] if tokenizer else [])]
    with Spill(target.parent, mapped) as spill:
        file = fitted(read_checkpoints(sources, entry), model, f'Checkpoint {sources[0]}', system)
        with _about(sources):
            if to == 'ours' and _is_ours(file, model):
                again = entry is None and Path(sources[0]).suffix == target.suffix
                content, converter = _in_another_format(file, model, sources[0], again), None
            else:
                content, converter = _converted(file, model, to, weights, system, spill)
        for line in _notes(file if converter else content, model, tokenizer, content):
            print(line)
        _write(content, target, converter, [*mapped, *([spill.path] if spill.path else [])])


@contextmanager
def _about(sources: Sequence[str | Path]) -> Iterator[None]:
    """Put the names of the files before an error about their content that names none of them."""
    try:
        yield
    except UserError as error:
        names = list(map(str, sources))
        if any(name in str(error) for name in names):
            raise
        raise UserError(f'{", ".join(names)}: {error}') from error


def _converted(
    file: dict, model: nn.Module, to: str, weights: str, system: str | None, spill: Spill
) -> tuple[dict, Converter | None]:
    """Return what to write, and the converter of an official file; print the report."""
    converter: Converter | None = None
    if to == 'official':
        converter = choose(model, name=system)
        converted, report = to_official(file, model, weights, converter, spill)
    else:
        chosen = choose(model, file['state_dict'], system)
        converted, report = to_ours(file['state_dict'], model, weights, chosen, spill)
    converted |= _kept(file, report, converter is not None and converter.bare)
    print(report)
    return converted, converter


def _is_ours(file: dict, model: nn.Module) -> bool:
    """Return whether a file is a checkpoint of ours, also where that shows in no single name."""
    state = file['state_dict']
    if is_ours(file):
        return True
    own = {name for name in model.state_dict() if not name.startswith(TRAINING_ONLY)}
    # Some official files have our names.
    official = official_names(choose(model, state), model)
    return own <= state.keys() and not is_official(state) and not own <= official


def _notes(
    ours: dict, model: nn.Module, tokenizer: str | Path | None, converted: dict
) -> Iterator[str]:
    """Put the tokenizer in, or compare it; yield what to say of that and of the order of bits."""
    if tokenizer:
        yield _with_tokenizer(ours['state_dict'], tokenizer, model.tokenizer, converted)
    if note := bit_order_note(model, ours['state_dict']):
        yield note


def _gather(sources: Sequence[str | Path], target: Path, model: nn.Module, weights: str) -> None:
    """Write a sharded checkpoint as one file; a training can go on from ``.pth`` with 'both'."""
    if len(sources) > 1:
        raise UserError(f'{sources[0]}: a sharded checkpoint is converted alone.')
    shapes = read_checkpoint(sources[0], values=False)
    check_weights(model, shapes['state_dict'], f'Checkpoint {sources[0]}', TRAINING_ONLY)
    content = read_checkpoint(sources[0])
    if weights != 'both':
        content = dict(state_dict=choose_weights(content, weights == 'ema'), meta=content['meta'])
    content['meta']['sharded'] = False
    make_folder(target.parent)
    write_checkpoint(content, target)
    print(f'{sources[0]}: one file with {", ".join(content)}.')


def _in_another_format(file: dict, model: nn.Module, source: str | Path, again: bool) -> dict:
    """Return what to write of a checkpoint of ours; print the report.

    Args:
        file: Its content.
        model: What the config builds.
        source: Name of the file for errors.
        again: Its ending is that of the target: nothing would change.

    Raises:
        UserError: Nothing would change, or the file does not fit the config.
    """
    if again:
        raise UserError(
            'The file is a checkpoint of ours already; --to official goes the other way, and the '
            'ending .pth or .safetensors to the other format.'
        )
    check_weights(model, file['state_dict'], f'Checkpoint {source}', TRAINING_ONLY)
    kept = {key: file[key] for key in ('state_dict', 'ema_state_dict') if file.get(key)}
    report = Report([('all', len(file['state_dict']), 'kept: ours, in another format')])
    kept |= _kept(file, report, bare=False)
    print(report)
    return kept


def _check_target(sources: Sequence[str | Path], target: Path, to: str) -> None:
    if target.suffix not in ('.pth', '.safetensors') and not (
        target.suffix == '.ckpt' and to == 'official'
    ):
        raise UserError(
            f'{target}: write a checkpoint as .pth or .safetensors (official ones as .ckpt too).'
        )
    usable_text(target)
    for source in map(usable, sources):
        if source.exists() and target.exists() and source.samefile(target):
            raise UserError(f'{target} is the source itself; name another file to write.')


def bit_order_note(model: nn.Module, state: dict[str, Tensor]) -> str:
    """Return a note where the config's order of bits is not the file's, else ''.

    Pixels come out right in either order, indices do not; v1 files have no adaptive norm.
    """
    order = None if is_generator(model) else model.quantizer.bit_order
    expected = 'lsb' if any(name.startswith('decoder.adaptive.') for name in state) else 'msb'
    if order in (None, expected):
        return ''
    version = 'with adaptive norm (v2)' if expected == 'lsb' else 'without adaptive norm (v1)'
    return (
        f'note: official tokenizers {version} count indices with '
        f"model.quantizer.bit_order='{expected}'; the config has '{order}'."
    )


def _kept(file: dict, report: Report, bare: bool) -> dict:
    """Keep names of classes; report and drop other entries beside the weights."""
    meta = {} if bare else dataset_meta(file)
    kept = dict(meta=dict(dataset_meta=meta)) if meta else {}
    beside = [str(key) for key in file if key not in ('state_dict', 'ema_state_dict', *kept)]
    report.add(', '.join(beside), len(beside), 'dropped: entries beside the weights')
    return kept


def _with_tokenizer(
    inside: dict[str, Tensor], path: str | Path, tokenizer: nn.Module, converted: dict
) -> str:
    """Say which weights of the tokenizer file ``path``, official or ours, stand in a generator of
    ours; where there are none, put those of the file into ``converted``.
    """
    parts = _tokenizer_file(path, tokenizer)
    weights = encoder_and_decoder(inside, 'tokenizer.')
    if weights:
        return compare_tokenizers(weights, *map(encoder_and_decoder, parts))
    if converted['state_dict'] is not inside:
        return f'There is no tokenizer inside to compare with {path}.'
    own = tokenizer.state_dict()
    inside |= {f'tokenizer.{name}': x for name, x in parts[0].items() if name in own}
    return f'The file holds no tokenizer: the raw weights of {path} are put in.'


def _tokenizer_file(path: str | Path, tokenizer: nn.Module) -> list[dict[str, Tensor]]:
    """Return raw and averaged weights of a tokenizer's file by our names."""
    file = read_checkpoint(path)
    try:
        if is_official(file['state_dict']):
            file = to_ours(file['state_dict'], tokenizer)[0]
    except UserError as error:
        raise UserError(f'--tokenizer {path}: {error}') from error
    return [file.get(key) or {} for key in ('state_dict', 'ema_state_dict')]


def compare_tokenizers(
    inside: dict[str, Tensor], raw: dict[str, Tensor], averaged: dict[str, Tensor]
) -> str:
    """Say which weights of a tokenizer a generator holds: a sentence. All three are encoder and
    decoder by our names.
    """
    pairs = (('raw', raw), ('averaged', averaged))
    kinds = [kind for kind, weights in pairs if _same(inside, weights)]
    if kinds:
        return (
            f'The tokenizer inside equals the {" and the ".join(kinds)} weights of the '
            f'tokenizer file.'
        )
    return (
        'The tokenizer inside equals neither the raw nor the averaged weights of the '
        'tokenizer file.'
    )


def encoder_and_decoder(weights: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
    """Return the part of some weights that makes codes and pixels, without ``prefix``."""
    parts = (f'{prefix}encoder.', f'{prefix}decoder.')
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(parts)
    }


def _same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Return whether two groups of tensors have the same names and values, in whatever dtype."""
    return a.keys() == b.keys() and all(a[name].double().equal(b[name].double()) for name in a)


def _write(
    content: dict, target: Path, converter: Converter | None, sources: Sequence[str | Path]
) -> None:
    """Write what was converted; official parts with files of their own go beside."""
    make_folder(target.parent)
    if converter is None:
        write_checkpoint(content, target, sources=sources)
        return
    state = content['state_dict']
    for part, beginnings in converter.separate.items():
        other = {name: tensor for name, tensor in state.items() if name.startswith(beginnings)}
        # The file of the part itself stays in one piece.
        if other and len(other) < len(state):
            state = {name: tensor for name, tensor in state.items() if name not in other}
            beside = target.with_name(f'{target.stem}_{part}{target.suffix}')
            print(f'{part}: a file of its own in this system, {beside}')
            _write_official(dict(state_dict=other), beside, converter, sources)
    _write_official(content | dict(state_dict=state), target, converter, sources)


def _write_official(
    content: dict, target: Path, converter: Converter, sources: Sequence[str | Path]
) -> None:
    """Write a file as the system has it; a .safetensors file has no dicts, only names."""
    if target.suffix == '.safetensors':
        write_checkpoint(content, target, sources=sources)
        return
    others = {} if converter.bare else {k: v for k, v in content.items() if k != 'state_dict'}
    save_atomically(packed(content['state_dict'], converter) | others, target, sources)
