"""Every shipped config loads and builds, with the parameter counts of the paper's code."""

import math
import re

import pytest

from openmagvit2.apis import init_model, list_models, model_info
from openmagvit2.apis.models import config_path, configs_folder
from openmagvit2.config import load_config
from openmagvit2.engine.resume.run_folder import default_folder
from openmagvit2.models.generators.base import BaseGenerator

# Encoder and decoder (docs/reference/specification.md, Tokenizer networks); those of the models in
# metafiles stand there.
COUNTS = {
    'ablations/table2/r1_lfq': 51_582_477,
    'ablations/table2/r2_large_codebook': 51_623_445,
    'ablations/table2/r3_samplers': 63_571_093,
    'ablations/table2/r4_deeper': 111_963_285,
    'ablations/table2/r5_adaptive_norm': 112_021_653,
}


def count(model) -> int:
    """Parameters of encoder, quantizer and decoder, or of a generator without its tokenizer."""
    if isinstance(model, BaseGenerator):
        own = (p for name, p in model.named_parameters() if not name.startswith('tokenizer.'))
        return sum(p.numel() for p in own)
    parts = (model.encoder, model.quantizer, model.decoder)
    return sum(p.numel() for part in parts for p in part.parameters())


@pytest.mark.parametrize('name', list_models())
def test_builds(name):
    model = init_model(name, device='meta')
    info = model_info(name)
    expected = info['parameters'] if info else COUNTS.get(name)
    if expected:
        assert count(model) == expected
    if name == 'lfq_256_16k_pretrain':
        assert sum(p.numel() for p in model.discriminator.parameters()) == 1_909_889


def test_the_first_row_differs_from_the_second_in_its_table_alone():
    rows = [init_model(f'ablations/table2/{name}', device='meta') for name in ('r0_vq', 'r1_lfq')]
    counts = [
        sum(p.numel() for part in (row.encoder, row.decoder) for p in part.parameters())
        for row in rows
    ]
    # 256 channels instead of 10 enter the decoder's 3x3 convolution and leave the encoder's 1x1
    # one.
    assert counts[0] - counts[1] == 246 * (512 * 9 + 512 + 1)
    assert rows[0].quantizer.embedding.weight.numel() == 1024 * 256


@pytest.mark.parametrize('folder', ['table2', 'table2_tiny'])
def test_each_row_of_the_ladder_changes_one_part(folder):
    rows = sorted(name for name in list_models(f'ablations/{folder}/*'))
    models = [load_config(config_path(name)).model.to_dict() for name in rows]
    assert len(models) == 6
    parts = [
        {key for key in a if a[key] != b[key]} for a, b in zip(models, models[1:], strict=False)
    ]
    assert parts == [
        {'quantizer'},
        {'quantizer'},
        {'encoder', 'decoder'},
        {'encoder', 'decoder'},
        {'decoder'},
    ]
    if folder == 'table2':
        assert models[-1] == load_config(config_path('lfq_128')).model.to_dict()


def iterations(config) -> int:
    """Iterations of a training; an epoch is one of ImageNet's 1,281,167 images."""
    settings = config.train_cfg
    if settings.get('max_iters'):
        return settings.max_iters
    return settings.max_epochs * math.ceil(1_281_167 / config.global_batch_size)


def test_a_config_starts_from_what_the_training_of_another_one_writes():
    """Files lie where `tools/train.py` puts them, and converted ones beside these folders."""
    found, wanted, known = set(), set(), list_models()
    for path in configs_folder().rglob('*.py'):
        found |= set(
            re.findall(
                r"'(work_dirs/(?!quickstart|heads_tiny).+?)(?:/iter_(\d+))?\.pth'", path.read_text()
            )
        )
    for folder, number in found:
        name = folder.removeprefix('work_dirs/')
        assert name in known, f'{folder} is of no config'
        config = load_config(config_path(name))
        assert default_folder(config).as_posix() == folder
        wanted.add((folder, str(iterations(config)) if number else ''))
    assert found == wanted and len(found) > 10
