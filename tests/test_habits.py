"""House rules that no linter checks: lengths, and how parts are asked what they are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ('openmagvit2', 'tools', 'tests')
# `hasattr` and `getattr` with a default, of objects of other packages or names that a user gave.
ALLOWED = {
    ('apis/hub.py', 'dataset_meta'),
    ('apis/images.py', 'read'),
    ('apis/images.py', 'dtype'),
    ('apis/init_model.py', None),
    ('apis/models.py', 'CSafeLoader'),
    ('checkpoint/mapped.py', 'madvise'),
    ('checkpoint/shard_reader.py', 'transform_descriptors'),
    ('config/files.py', 'id'),
    ('cfg_options.py', None),
    ('console.py', 'reconfigure'),
    ('engine/hooks/ema.py', None),
    ('engine/resume/state.py', 'metainfo'),
    ('io/parts.py', 'O_BINARY'),
    ('io/parts.py', 'O_DSYNC'),
    ('io/parts.py', 'posix_fallocate'),
    ('io/images.py', 'tag_v2'),
    ('checkpoint/torchscript.py', 'attributes'),
    ('memory.py', None),
    ('models/generators/sampling.py', 'decoding'),
    ('models/losses/calls.py', None),
    ('models/layers/decoding_weights.py', '_is_mkldnn_bf16_supported'),
    ('models/layers/decoding_weights.py', '_reorder_convolution_weight'),
    ('models/layers/decoding_weights.py', 'quantize_per_channel'),
}
# A converter is asked about the models of all systems, and of parts that users add.
ASKING = 'checkpoint/converters/'


def sources(*folders: str) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob('*.py')):
            yield path.relative_to(ROOT), path.read_text()


@pytest.fixture(scope='module')
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(text) for path, text in sources(*FOLDERS)}


def test_files_and_functions_are_short(trees):
    long = {str(path): n for path, text in sources(*FOLDERS) if (n := text.count('\n')) > 400}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                if (length := node.end_lineno - node.lineno + 1) > 50:
                    long[f'{path}:{node.name}'] = length
    assert not long


def test_own_classes_are_not_asked_for_attributes(trees):
    found = set()
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            default = node.func.id == 'getattr' and len(node.args) == 3
            if path.parts[0] == 'openmagvit2' and (node.func.id == 'hasattr' or default):
                name = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
                found.add((path.relative_to('openmagvit2').as_posix(), name))
    assert {item for item in found if not item[0].startswith(ASKING)} == ALLOWED


@pytest.mark.parametrize(
    ('folders', 'text'),
    [
        (('openmagvit2', 'tools'), 'object.__setattr__'),
        (('tools',), 'except ValueError'),
        (('openmagvit2', 'tools', 'configs'), 'spec \N{SECTION SIGN}'),
        (('openmagvit2', 'tools'), '.cuda()'),
    ],
)
def test_what_the_code_does_not_say(folders, text):
    assert not [str(path) for path, content in sources(*folders) if text in content]


def test_spelling_is_american():
    british = r'(?i)\w*(?:colour|centre|neighbour|behaviour|labelled|normalis|initialis|optimis)\w*'
    found = {
        (path.as_posix(), word)
        for path, text in sources('openmagvit2', 'tools', 'configs')
        for word in re.findall(british, text)
    }
    # Earlier spellings that are still accepted.
    assert found == {
        ('openmagvit2/evaluation/metrics/sample_pairs.py', 'neighbours'),
        ('openmagvit2/workflows/token_folder.py', 'centre'),
        ('openmagvit2/workflows/tokenize.py', 'centre'),
    }


def test_the_loading_of_configs_names_no_argument_of_a_model():
    names = {'encoder', 'decoder', 'quantizer', 'backbone', 'head', 'discriminator', 'losses'}
    for file in ('loading.py', 'checks.py', 'keys.py', 'slots.py'):
        tree = ast.parse((ROOT / 'openmagvit2/config' / file).read_text())
        assert not names & {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}, file


def test_packages_that_take_long_are_imported_where_they_are_used(trees):
    """As openmagvit2/registry.py says: asking a slot for a name takes no second."""
    slow = {'torchvision', 'timm', 'torch_fidelity', 'lpips', 'transformers', 'matplotlib'}
    found = [
        (str(path), name)
        for path, tree in trees.items()
        if path.parts[0] == 'openmagvit2'
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else _names(node))
        if name and name.split('.')[0] in slow
    ]
    assert not found


def _names(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]
