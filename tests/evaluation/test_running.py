"""Evaluation of a checkpoint: sizes, geometry, choice of metrics, and the record."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from PIL import Image
from torch import nn

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.models.quantizers.base import QuantizerOutput
from openmagvit2.models.tokenizers.visual_tokenizer import AutoEncoder
from openmagvit2.registry import METRICS
from openmagvit2.workflows.test import test as run_test

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'tiny' / 'lfq_32.py'


@pytest.fixture
def folder(tmp_path):
    """Images of mixed sizes in the layout of COCO."""
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate([(33, 47), (64, 40), (50, 50), (41, 90), (32, 32)]):
        path = tmp_path / 'coco' / 'val2017' / f'{i:012d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return tmp_path / 'coco' / 'val2017'


def config(folder: Path):
    dataset = dict(_delete_=True, type='ImageFolder', data_root=str(folder), pipeline=[])
    return load_config(CONFIG, {'val_dataloader.dataset': dataset})


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    write_checkpoint(dict(state_dict=init_model(CONFIG).state_dict()), tmp_path / 'model.pth')
    return str(tmp_path / 'model.pth')


def test_sizes_metrics_and_record(folder, checkpoint, tmp_path):
    values = run_test(
        config(folder),
        checkpoint,
        str(tmp_path / 'a'),
        metrics=['psnr', 'usage'],
        size='original',
    )
    assert set(values) == {'psnr', 'usage', 'usage_of_possible', 'perplexity'}
    record = json.loads((tmp_path / 'a' / 'metrics.json').read_text())
    assert record['images'] == 5
    assert record['metrics'] == values
    assert len(record['checkpoint']['sha256']) == 64

    def psnr(name: str, **settings) -> float:
        own = config(folder)
        found = run_test(own, checkpoint, str(tmp_path / name), metrics=['psnr'], **settings)
        return found['psnr']

    small = psnr('b', size='32')
    assert small != values['psnr']
    assert psnr('c', size='original', pad='black') != values['psnr']
    assert psnr('d', size='32', protocol='official') != small


@pytest.mark.parametrize('size', [[32, 64], '0', '32x64', 0, True])
def test_sizes_that_are_none(folder, checkpoint, tmp_path, size):
    message = r"--size must be a positive integer \(the crops are square\) or 'original', got"
    with pytest.raises(ValueError, match=message):
        run_test(config(folder), checkpoint, str(tmp_path / 'x'), size=size)
    assert not (tmp_path / 'x').exists()


def test_unknown_and_missing(folder, checkpoint, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='No metric `rfidd`; choose from psnr'):
        run_test(config(folder), checkpoint, str(tmp_path / 'x'), metrics=['rfidd'])
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with pytest.raises(ValueError, match='weights-inception-2015-12-05-6726825d.pth'):
        run_test(config(folder), checkpoint, str(tmp_path / 'x'), metrics=['psnr', 'rfid'])
    assert not (tmp_path / 'x').exists()


def test_a_checkpoint_of_another_model_is_reported_before_the_config(
    folder, checkpoint, tmp_path, capfd
):
    other = config(folder)
    other.model.encoder.channels *= 2
    with pytest.raises(
        ValueError, match='Checkpoint .*model.pth does not fit this config: .*unfit'
    ):
        run_test(other, checkpoint, str(tmp_path / 'x'), metrics=['psnr'])
    assert 'VisualTokenizer' not in ''.join(capfd.readouterr())
    assert not (tmp_path / 'x').exists()


class Plain(BaseMetric):
    """A plain metric of mmengine, which counts images."""

    default_prefix = ''

    def process(self, data_batch, data_samples) -> None:
        self.results += [len(sample['image']) for sample in data_samples]

    def compute_metrics(self, results) -> dict:
        return dict(images=sum(results))


def test_other_evaluators_and_padding_samplers(folder, checkpoint, tmp_path):
    plain = config(folder)
    METRICS.register_module(module=Plain, force=True)
    plain.test_evaluator = dict(type='Plain')
    plain.val_dataloader.sampler = dict(type='DefaultSampler', shuffle=False)
    assert run_test(plain, checkpoint, str(tmp_path / 'plain'), size='32') == dict(images=5)
    written = load_config(next((tmp_path / 'plain').rglob('*.py')))
    assert written.test_dataloader.sampler.round_up is False


def test_record_states_the_protocol(folder, checkpoint, tmp_path):
    run_test(
        config(folder),
        checkpoint,
        str(tmp_path / 'a'),
        metrics=['psnr', 'usage'],
        size='32',
        protocol='official',
    )
    record = json.loads((tmp_path / 'a' / 'metrics.json').read_text())
    assert record['protocol'][0].startswith(
        'PSNR: official: mean over images, on 8 bits (truncated'
    )
    assert record['size'] == '32'
    assert record['pad_value'] == 0
    assert record['versions']['torch'] in torch.__version__


def test_named_metrics_keep_what_the_config_says_of_them(folder, checkpoint, tmp_path, monkeypatch):
    settings = config(folder)
    settings.test_evaluator = [
        dict(type='PSNR', protocol='official'),
        dict(type='LPIPS', net='vgg', weights='/nowhere/vgg.pth'),
        dict(
            type='ReconstructionFrechet',
            features=dict(type='FIDInception', weights='/nowhere/inception.pth'),
        ),
    ]
    run_test(settings, checkpoint, str(tmp_path / 'a'), metrics=['psnr', 'ssim'], size='32')
    record = json.loads((tmp_path / 'a' / 'metrics.json').read_text())
    assert record['evaluators'] == [dict(type='PSNR', protocol='official'), dict(type='SSIM')]
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    for name, place in dict(
        lpips_vgg='/nowhere/vgg',
        rfid='/nowhere/inception',
        lpips_alex=f'{tmp_path}/checkpoints/alexnet',
    ).items():
        with pytest.raises(ValueError, match=f'not in {place}'):
            run_test(settings, checkpoint, str(tmp_path / 'x'), metrics=[name])


@pytest.mark.parametrize('workers', [0, 1])
def test_images_of_mixed_sizes_are_one_sentence(workers, folder, checkpoint, tmp_path):
    settings = config(folder)
    settings.val_dataloader.num_workers = workers
    with pytest.raises(ValueError, match=r'differ in size \(\[3, 33, 47\] at entry 0'):
        run_test(settings, checkpoint, str(tmp_path / 'x'), metrics=['psnr'])
    assert not list(tmp_path.rglob('metrics.json'))


def test_choices_that_do_not_fit(checkpoint, tmp_path):
    generator = load_config(ROOT / 'configs' / 'tiny' / 'ar_32.py')
    with pytest.raises(ValueError, match='--protocol is for PSNR, SSIM and rFID'):
        run_test(generator, checkpoint, str(tmp_path / 'x'), protocol='official')
    with pytest.raises(
        ValueError, match='--pad is for tokenizers; AutoregressiveGenerator has no pad_value'
    ):
        run_test(generator, checkpoint, str(tmp_path / 'x'), pad='gray')
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize('layout', ['coco', 'imagenet'])
def test_original_resolution_of_forty_files(layout, checkpoint, tmp_path, monkeypatch):
    """With a model that changes nothing, the error is zero for every border."""
    rng = np.random.default_rng(0)
    for i in range(40):
        place = f'val2017/{i:012d}.png' if layout == 'coco' else f'val/n{i % 3:08d}/{i}.png'
        path = tmp_path / layout / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*rng.integers(16, 70, 2), 3), dtype=np.uint8)).save(
            path
        )
    seen = []

    def unchanged(self, image):
        seen.append(tuple(image.shape[2:]))
        return image, QuantizerOutput(image, torch.zeros(1, 1, 1, dtype=torch.int64))

    monkeypatch.setattr(AutoEncoder, 'forward', unchanged)
    kind, root = (
        ('ImageFolder', tmp_path / layout / 'val2017')
        if layout == 'coco'
        else ('ImageNet', tmp_path / layout)
    )
    dataset = dict(type=kind, data_root=str(root), pipeline=[]) | (
        dict(split='val') if layout == 'imagenet' else {}
    )
    for pad in ('gray', 'black'):
        settings = load_config(CONFIG, {'val_dataloader.dataset': dataset})
        values = run_test(
            settings,
            checkpoint,
            str(tmp_path / pad),
            metrics=['psnr', 'ssim', 'usage'],
            size='original',
            pad=pad,
        )
        assert values['psnr'] == float('inf') and values['ssim'] == pytest.approx(1, abs=1e-12)
    assert len(seen) == 80
    assert len(set(seen)) > 20
    assert all(side % 4 == 0 for shape in seen for side in shape)


class Identity(nn.Module):
    """Encoder or decoder that returns its input."""

    stride = (16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, image):
        self.seen.append(image)
        return image


class OneCode(nn.Module):
    """Quantizer that returns its input and the index 0."""

    codebook_sizes = (2,)

    def forward(self, image):
        return QuantizerOutput(image, torch.zeros(len(image), 1, 1, dtype=torch.int64))


@pytest.mark.parametrize('pad_value', [0.0, -1.0])
@pytest.mark.parametrize('size', [(33, 47), (32, 16), (40, 90)])
def test_original_resolution_crops_back_what_it_pads(size, pad_value):
    model = init_model(CONFIG, cfg_options={'model.pad_value': pad_value})
    identity = Identity()
    model.encoder, model.quantizer, model.decoder = identity, OneCode(), nn.Identity()
    image = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    (out,) = model.val_step(dict(image=image))
    assert out['reconstruction'].equal(image / 127.5 - 1)
    assert out['image'].equal(out['reconstruction'])
    (padded,) = identity.seen
    height, width = padded.shape[2:]
    assert height % 16 == width % 16 == 0 and height - size[0] < 16 and width - size[1] < 16
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    assert padded[:, :, top : top + size[0], left : left + size[1]].equal(image / 127.5 - 1)
    border = torch.ones(height, width, dtype=torch.bool)
    border[top : top + size[0], left : left + size[1]] = False
    assert (padded[:, :, border] == pad_value).all()
