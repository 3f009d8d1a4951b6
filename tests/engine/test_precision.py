"""dtype='auto': the measurement, its record, and the type of a resumed training."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from openmagvit2.apis import Generator, Tokenizer, init_model
from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.engine import precision
from openmagvit2.engine.optim import constructor
from openmagvit2.engine.precision import Precision, fastest_precision
from openmagvit2.errors import UserError
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'


@pytest.fixture
def measured(monkeypatch):
    """Return a function that sets the time of bfloat16; that of float32 is one second."""

    def set_time(seconds: float) -> None:
        precision._measured.cache_clear()
        monkeypatch.setattr(
            precision, '_seconds', lambda device, dtype: 1.0 if dtype == torch.float32 else seconds
        )

    yield set_time
    precision._measured.cache_clear()


@pytest.mark.parametrize(
    ('seconds', 'dtype'),
    [(0.5, 'bfloat16'), (1 / 1.21, 'bfloat16'), (1 / 1.19, 'float32'), (10.0, 'float32')],
)
def test_bfloat16_has_to_be_a_fifth_faster(measured, seconds, dtype):
    measured(seconds)
    chosen = fastest_precision('cpu')
    assert chosen.dtype == dtype
    assert '1000.00 ms' in chosen.reason and f'{1e3 * seconds:.2f} ms' in chosen.reason


def test_a_device_without_bfloat16_computes_in_float32(monkeypatch):
    def fails(device, dtype):
        raise RuntimeError('no kernel for BFloat16\ndetails')

    precision._measured.cache_clear()
    monkeypatch.setattr(precision, '_seconds', fails)
    assert fastest_precision('cpu') == Precision(
        'float32', 'bfloat16 does not work on cpu: no kernel for BFloat16'
    )
    precision._measured.cache_clear()


def test_the_measurement_is_made_once():
    precision._measured.cache_clear()
    assert fastest_precision('cpu').dtype in ('float32', 'bfloat16')
    assert fastest_precision('cpu') is not None and precision._measured.cache_info().hits == 1


def start(work_dir, iterations: int, resume: bool = False, **options):
    options = {
        'train_cfg.max_iters': iterations,
        'train_cfg.val_interval': None,
        'global_batch_size': 4,
        'val_dataloader.dataset.num_images': 4,
        'default_hooks.checkpoint.interval': 1,
    } | options
    return train(load_config(TINY / 'lfq_32.py', options), str(work_dir), resume=resume)


def lines_about_dtype(work_dir) -> list[str]:
    text = ''.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))
    return [
        line.partition('INFO - ')[2] for line in text.splitlines() if 'optim_wrapper.dtype=' in line
    ]


def test_a_training_records_its_type_and_a_resume_keeps_it(measured, tmp_path):
    measured(0.25)
    start(tmp_path, 1)
    saved = read_checkpoint(tmp_path / 'iter_1.pth')['optimizer']
    assert {name: state['dtype'] for name, state in saved.items()} == dict(
        autoencoder='bfloat16', discriminator='bfloat16'
    )
    record = json.loads((tmp_path / 'metrics.json').read_text())['precision']
    assert record['training']['autoencoder']['dtype'] == 'bfloat16'
    assert '4.0 times' in record['training']['autoencoder']['reason']
    assert len(lines_about_dtype(tmp_path)) == 1

    # On a machine where float32 is faster.
    measured(4.0)
    runner = start(tmp_path, 2, resume=True)
    assert {wrapper.dtype for wrapper in runner.optim_wrapper.values()} == {torch.bfloat16}
    assert 'optim_wrapper.dtype=auto: bfloat16 (the type of the checkpoint)' in lines_about_dtype(
        tmp_path
    )
    record = json.loads((tmp_path / 'metrics.json').read_text())['precision']
    assert record['training']['discriminator'] == dict(
        dtype='bfloat16', reason='the type of the checkpoint'
    )

    # A type in the config takes precedence, with one line for both roles.
    before = len(lines_about_dtype(tmp_path))
    runner = start(tmp_path, 3, resume=True, **{'optim_wrapper.dtype': 'float32'})
    assert {wrapper.dtype for wrapper in runner.optim_wrapper.values()} == {None}
    logged = lines_about_dtype(tmp_path)[before:]
    assert logged == ["optim_wrapper.dtype=float32 replaces the checkpoint's bfloat16."]


class TwoRoles(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

    def roles(self) -> dict[str, nn.Module]:
        return dict(a=self.a, b=self.b)


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    """Collect the lines that building the optimizers logs."""
    lines: list[str] = []
    monkeypatch.setattr(constructor, 'print_log', lambda line, *args: lines.append(line))
    return lines


def wrappers_of(dtype: str):
    role = dict(optimizer=dict(type='SGD', lr=0.1))
    return constructor.RoleOptimConstructor(dict(dtype=dtype, a=role, b=role))(TwoRoles())


def test_a_cpu_trains_a_float16_recipe_in_float32(logged):
    wrappers = wrappers_of('float16')
    for wrapper in wrappers.values():
        assert wrapper.dtype is None and wrapper.scaler is None
        assert wrapper.state_dict()['dtype'] == 'float32'
    assert logged == ['optim_wrapper.dtype=float16: float32 (float16 needs a GPU)']


@pytest.mark.parametrize(('seconds', 'lines'), [(0.25, 0), (8.0, 1)])
def test_a_slow_bfloat16_is_kept_and_logged(measured, logged, seconds, lines):
    measured(seconds)
    assert {wrapper.dtype for wrapper in wrappers_of('bfloat16').values()} == {torch.bfloat16}
    assert len(logged) == lines
    assert all(
        '8000.00 ms' in line and 'optim_wrapper.dtype=auto selects' in line for line in logged
    )


@pytest.mark.parametrize('name', ['lfq_32', 'vq_32', 'fsq_32'])
def test_a_tokenizer_of_lower_precision_keeps_its_quantizer_in_float32(name):
    torch.manual_seed(0)
    before = init_model(TINY / f'{name}.py').quantizer.state_dict()
    torch.manual_seed(0)
    tokenizer = Tokenizer.from_config(TINY / f'{name}.py', dtype='bfloat16')
    # The weights are not even rounded once.
    found = tokenizer.model.quantizer.state_dict()
    assert all(found[key].equal(value) for key, value in before.items())
    assert next(tokenizer.model.encoder.parameters()).dtype == torch.bfloat16
    assert all(p.dtype == torch.float32 for p in tokenizer.model.quantizer.parameters())
    images = tokenizer.decode(tokenizer.encode(torch.zeros(2, 3, 32, 32)))
    assert images.shape == (2, 32, 32, 3)


def test_models_use_the_measured_type_on_request(measured):
    measured(0.25)
    generator = Generator.from_config(TINY / 'ar_32.py', dtype='auto')
    assert generator.model.class_embedding.weight.dtype == torch.bfloat16
    assert generator.sample([0, 3]).shape == (2, 32, 32, 3)
    assert next(init_model(TINY / 'ar_32.py').parameters()).dtype == torch.float32
    measured(4.0)
    assert next(init_model(TINY / 'ar_32.py', dtype='auto').parameters()).dtype == torch.float32


def test_unknown_types_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="'auto', 'float32', 'bfloat16' or 'float16', got 'bf16'"):
        init_model(TINY / 'lfq_32.py', dtype='bf16')
    with pytest.raises(UserError, match='optim_wrapper.dtype must be one of auto'):
        start(tmp_path, 1, **{'optim_wrapper.dtype': 'half'})
