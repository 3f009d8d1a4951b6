"""A reader's own parts: those of docs/extend.md, and one for each other kind of slot."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from openmagvit2.apis import Generator
from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.registry import DATASETS, SLOTS
from openmagvit2.workflows.train import train

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'extend.md').read_text()
FILES = dict(re.findall(r'`(\w+\.py)`[^`]*?:\n\n```python\n(.*?)```', PAGE, re.S))
OPTIONS = {
    'train_cfg.max_iters': 2,
    'global_batch_size': 4,
    'val_dataloader.dataset.num_images': 4,
    'default_hooks.checkpoint.interval': 1,
    'optim_wrapper.dtype': 'float32',
}
FILES['linear_head.py'] = """
import torch
from openmagvit2.models.heads.base import Head
from openmagvit2.registry import HEADS


@HEADS.register_module()
class LinearHead(Head):
    def __init__(self, vocab_sizes, dim):  # no defaults
        super().__init__(vocab_sizes, dim)

    def logits(self, context, sub_indices):
        return [classifier(self.norm(context)) for classifier in self.classifiers]

    def sample(self, context, draw, cache=None):
        logits = self.logits(context, None)
        return torch.stack([draw(x, i) for i, x in enumerate(logits)], -1)
"""
FILES['head_32.py'] = """
_base_ = ['configs/tiny/ar_32.py']
custom_imports = dict(imports=['linear_head'])
model = dict(head=dict(_delete_=True, type='LinearHead'))
"""
FILES['stripes.py'] = """
from torch import nn
from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.registry import ENCODERS


@ENCODERS.register_module()
class Stripes(BaseEncoder):
    stride, image_size = None, (32, 32)

    def __init__(self, *, out_channels, number):
        super().__init__()
        self.out_channels, self.number = out_channels, number
        self.layer = nn.Linear(3 * 32 * 32 // number, out_channels)

    def grid(self, size):
        return (self.number,)

    def forward(self, image):
        self.check_size(image.shape[2:])
        stripes = image.movedim(1, -1).reshape(len(image), self.number, -1)
        return self.layer(stripes).transpose(1, 2)
"""
FILES['stripes_32.py'] = """
_base_ = ['configs/tiny/titok_32.py']
custom_imports = dict(imports=['stripes'])
model = dict(encoder=dict(_delete_=True, type='Stripes', number=16))
"""
FILES['critic.py'] = """
from torch import nn
from openmagvit2.models.discriminators.base import BaseDiscriminator
from openmagvit2.registry import DISCRIMINATORS


@DISCRIMINATORS.register_module()
class Critic(BaseDiscriminator):
    def __init__(self):
        super().__init__()
        self.eyes = nn.Conv2d(3, 8, 4, stride=4).requires_grad_(False)
        self.judge = nn.Conv2d(8, 1, 1)

    def forward(self, image):
        return self.judge(self.eyes(image).relu())
"""
FILES['critic_32.py'] = """
_base_ = ['configs/tiny/lfq_32.py']
custom_imports = dict(imports=['critic'])
model = dict(training=dict(adversarial=dict(discriminator=dict(_delete_=True, type='Critic'))))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The reader's folder; what its files register is forgotten afterwards."""
    for name, text in FILES.items():
        base = f"'{os.path.relpath(ROOT, tmp_path)}/configs/"
        (tmp_path / name).write_text(text.replace("'configs/", base))
    monkeypatch.setattr(sys, 'path', list(sys.path))
    for slot in (*SLOTS.values(), DATASETS):
        slot.names()
        monkeypatch.setattr(slot, '_module_dict', dict(slot.module_dict))
    yield tmp_path
    for name in FILES:
        sys.modules.pop(Path(name).stem, None)


def trained(folder: Path, name: str):
    train(load_config(folder / f'{name}.py', OPTIONS), str(folder / name))
    return read_checkpoint(folder / name / 'iter_2.pth')['state_dict']


def test_the_page_is_short():
    assert {'product_vq.py', 'class_name.py', 'their_files.py'} < FILES.keys()
    assert max(len(text.splitlines()) for text in FILES.values()) < 40
    assert {'names_32.py', 'their_32.py', 'tartans_32.py'} < FILES.keys()
    assert len(PAGE.splitlines()) < 220


def test_a_quantizer_with_two_codebooks_and_a_converter_of_its_files(folder, monkeypatch, tool):
    ours = trained(folder, 'product_32')
    tables = [ours[f'quantizer.tables.{i}.weight'] for i in range(2)]
    assert [len(table) for table in tables] == [16, 64]
    theirs = {f'codebook_{i}': table for i, table in enumerate(tables)}
    for part in ('encoder.', 'decoder.'):
        names = [name for name in ours if name.startswith(part)]
        theirs |= {part[:3] + '.' + name.removeprefix(part): ours[name] for name in names}
    torch.save(theirs, folder / 'theirs.pth')
    commands = re.findall(r'python tools/(convert_checkpoint).py (.*)', PAGE)
    monkeypatch.chdir(folder)
    for name, arguments in commands:
        code, _, errors = tool(name, *arguments.split())
        assert code == 0, errors
    assert len(commands) == 2
    back = torch.load(folder / 'back.pth', weights_only=True)
    assert back.keys() == theirs.keys()
    assert all(value.equal(theirs[name]) for name, value in back.items())
    kept = torch.load(folder / 'ours.pth', weights_only=True)['state_dict']
    assert all(value.equal(ours[name]) for name, value in kept.items())


def test_a_data_set(folder, monkeypatch):
    monkeypatch.setitem(OPTIONS, 'val_dataloader.dataset.number', 4)
    monkeypatch.delitem(OPTIONS, 'val_dataloader.dataset.num_images')
    trained(folder, 'tartans_32')
    data = DATASETS.build(dict(type='Tartans', number=6))
    first, second = data[0]['image'], data[1]['image']
    assert first.shape == (3, 32, 32) and len(data) == 6 and data.num_classes == 2
    # Rows of one color, and columns.
    assert (first == first[:, :, :1]).all() and not (first == first[:, :1]).all()
    assert (second == second[:, :1]).all() and [data[i]['label'] for i in range(3)] == [0, 1, 0]


def test_a_conditioner_without_numbered_classes(folder):
    state = trained(folder, 'names_32')
    assert state['class_embedding.table.weight'].shape == (128, 64)
    assert (folder / 'names_32' / 'grids' / 'samples_iter_2.png').is_file()
    generator = Generator.from_config(folder / 'names_32.py', folder / 'names_32' / 'iter_2.pth')
    images = generator.sample(['bag', 'coat', 'bag'], numbers=[0, 0, 0])
    assert images.shape == (3, 32, 32, 3) and (images[0] == images[2]).all()
    with pytest.raises(ValueError, match="No class is called 'hat'"):
        generator.sample(['hat'])


def test_a_head_without_defaults(folder):
    state = trained(folder, 'head_32')
    assert state['head.classifiers.0.weight'].any()
    generator = Generator.from_config(folder / 'head_32.py', folder / 'head_32' / 'iter_2.pth')
    assert generator.sample([3]).shape == (1, 32, 32, 3)


def test_an_encoder_of_one_axis(folder):
    state = trained(folder, 'stripes_32')
    assert state['encoder.layer.weight'].shape == (12, 192)


def test_a_discriminator_with_frozen_parts(folder):
    last = trained(folder, 'critic_32')
    first = read_checkpoint(folder / 'critic_32' / 'iter_1.pth')['state_dict']
    for kind in ('weight', 'bias'):
        assert last[f'discriminator.eyes.{kind}'].equal(first[f'discriminator.eyes.{kind}'])
        assert not last[f'discriminator.judge.{kind}'].equal(first[f'discriminator.judge.{kind}'])
    optimizers = read_checkpoint(folder / 'critic_32' / 'iter_2.pth')['optimizer']
    assert len(optimizers['discriminator']['state']) == 2


def test_a_wrong_constructor_of_a_head_keeps_its_traceback(folder, tool):
    file = folder / 'linear_head.py'
    file.write_text(file.read_text().replace('__init__(vocab_sizes, dim)', '__init__(dim)'))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'dim'") as caught:
        tool('train', folder / 'head_32.py', '--work-dir', folder / 'run')
    assert any(str(entry.path) == str(file) for entry in caught.traceback)


@pytest.mark.parametrize(
    ('config', 'right', 'wrong', 'sentence'),
    [
        ('product_32', 'codebook_sizes=', 'sizes=', 'Unknown config key `model.quantizer.sizes`'),
        ('names_32', "'bag', 'coat'", "'hat'", "No class is called 'hat'"),
        ('names_32', "labels=['bag', 'coat']", 'num_per_class=1', 'give SampleGridHook'),
        ('product_32', "'product_vq'", "'product'", 'no module `product` is installed'),
    ],
)
def test_a_mistake_is_one_sentence(folder, tool, config, right, wrong, sentence):
    file = folder / f'{config}.py'
    assert right in file.read_text()
    file.write_text(file.read_text().replace(right, wrong))
    code, _, errors = tool('train', file, '--work-dir', folder / 'run')
    (error,) = errors.splitlines()[-1:]
    assert code == 2 and error.startswith('error: ') and sentence in error


@pytest.mark.slow
@pytest.mark.smoke
def test_a_bug_keeps_its_traceback_under_the_tool(folder):
    file = folder / 'product_vq.py'
    file.write_text(file.read_text().replace('digits = []', 'a, b = (1, 2, 3)'))
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(folder / 'product_32.py')]
    # From another directory: the file is found beside the config.
    done = subprocess.run(
        [*command, '--work-dir', str(folder / 'run')],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 1 and 'Traceback' in done.stderr
    assert 'ValueError: too many values to unpack' in done.stderr and str(file) in done.stderr
