"""Imports run downwards only, as CONTRIBUTING.md says; imports for type checking are exempt."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / 'openmagvit2'
# From the ground up. Wings of one floor meet in the registry and in `protocols`.
FLOORS = (
    {
        'cfg_options',
        'console',
        'dtypes',
        'errors',
        'memory',
        'processes',
        'protocols',
        'registry',
        'signatures',
        'sizes',
        'version',
    },
    {'io'},
    {'checkpoint'},
    {'config', 'models', 'datasets', 'engine', 'evaluation', 'visualization'},
    {'apis'},
    {'workflows'},
)
FLOOR = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings}
# (file or folder, what it imports from a higher floor or another wing).
EXCEPTIONS = {
    # Official files hold tables that ours compute: converters compare with the same function.
    ('checkpoint/converters/llamagen_ar.py', 'models.layers.rope'),
    ('checkpoint/converters/omni_tokenizer.py', 'models.layers.window_attention'),
    ('checkpoint/converters/vit_vqgan.py', 'models.layers.plain_vit'),
    # Its rules follow the layers of this discriminator alone.
    ('checkpoint/converters/omni_tokenizer.py', 'models.discriminators'),
    # A model folder's config comes from anyone, and is checked as any config.
    ('checkpoint/folder_config.py', 'config.checks'),
    # A checkpoint of version 1 holds its config in the old spelling.
    ('engine/resume/changes.py', 'config.version_1'),
    # Loops and hooks measure while they train, and state it as an evaluation does.
    ('engine/generation_loop.py', 'evaluation.metrics.base'),
    ('engine/generation_loop.py', 'evaluation.rejection'),
    ('engine/generation_loop.py', 'evaluation.sample_set'),
    ('engine/hooks/codebook_usage.py', 'evaluation.usage'),
    # A step tells modules where an iteration ends; frozen modules of a role go past DDP.
    ('engine/step.py', 'models.layers.iteration'),
    ('engine/parallel/ddp.py', 'models.tokenizers.autoencoder'),
    # Arguments of an optimizer have the annotations of torch's class, which no slot knows.
    ('engine/optim/constructor.py', 'config.annotations'),
    # Settings of a sampler also come with a call, and are checked as those of a config.
    ('models/samplers/build.py', 'config.annotations'),
    # The type of an argument: conditions have classes, or none.
    ('evaluation/sample_set.py', 'models.conditioners.base'),
    # The hook sees the model behind data parallelism.
    ('visualization/hooks/samples.py', 'engine.unwrap'),
}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield modules of the package imported below a node, in functions too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == 'TYPE_CHECKING':
            continue
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert not child.level
            whole = child.module == PACKAGE.name
            names = [f'{child.module}.{a.name}' for a in child.names] if whole else [child.module]
        else:
            yield from imported(child)
            continue
        yield from (n.partition('.')[2] for n in names if n.startswith(f'{PACKAGE.name}.'))


def wing(path: str) -> str:
    return path.partition('/')[0].partition('.')[0]


def test_imports_run_downwards():
    found = set()
    for path in sorted(PACKAGE.rglob('*.py')):
        file = path.relative_to(PACKAGE).as_posix()
        if file == '__init__.py':
            continue
        for module in imported(ast.parse(path.read_text())):
            above = FLOOR[wing(module)] >= FLOOR[wing(file)] > 0
            if above and wing(module) != wing(file):
                found.add((file, module))
    assert found == EXCEPTIONS
    ground = [
        (path, module)
        for path in FLOORS[0]
        for module in imported(ast.parse((PACKAGE / f'{path}.py').read_text()))
        if FLOOR[wing(module)]
    ]
    assert not ground


def test_slots_meet_in_their_base_and_in_layers():
    """A head uses no backbone; what both need is in `layers`."""
    # Generators put all slots together.
    exceptions = {
        # The type of the vectors that a draw hands to the head.
        ('samplers', 'models.heads.embeddings'),
        # A tokenizer trains itself: losses and the game are parts of it.
        ('tokenizers', 'models.losses'),
    }
    found = set()
    for path in (PACKAGE / 'models').glob('*/*.py'):
        slot = path.parent.name
        for module in imported(ast.parse(path.read_text())):
            other = module.split('.')[1:] if module.startswith('models.') else []
            if other and other[0] not in (slot, 'layers') and other[-1] != 'base':
                found.add((slot, module))
    assert {item for item in found if item[0] != 'generators'} == exceptions
