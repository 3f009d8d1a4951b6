"""A resume memory-maps the checkpoint file."""

from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import _load_checkpoint
from torch import nn

from openmagvit2.engine.optim import AutocastOptimWrapper
from openmagvit2.registry import LOOPS

MAPS = Path('/proc/self/maps')
pytestmark = pytest.mark.skipif(not MAPS.exists(), reason='needs /proc/self/maps')


def mapped_file(tensor: torch.Tensor) -> str:
    """Return the file that a tensor's memory is mapped from; empty if it is not mapped."""
    for line in MAPS.read_text().splitlines():
        start, _, end = line.partition(' ')[0].partition('-')
        if int(start, 16) <= tensor.data_ptr() < int(end, 16):
            return line.split(maxsplit=5)[5] if len(line.split(maxsplit=5)) == 6 else ''
    return ''


def trained() -> AutocastOptimWrapper:
    layer = nn.Linear(256, 256)
    layer(torch.ones(1, 256)).sum().backward()
    wrapper = AutocastOptimWrapper(torch.optim.AdamW(layer.parameters()))
    wrapper.step()
    return wrapper


def test_the_file_is_mapped_and_the_optimizer_copies_its_state(tmp_path):
    path, wrapper = tmp_path / 'iter_1.pth', trained()
    torch.save(dict(state_dict=dict(w=torch.ones(256, 256)), optimizer=wrapper.state_dict()), path)
    # The Runner has built its loop when it reads the checkpoint.
    assert LOOPS.get('IterationLoop')
    content = _load_checkpoint(str(path), map_location='cpu')
    assert mapped_file(content['state_dict']['w']) == str(path)
    saved = content['optimizer']['state'][0]['exp_avg']
    assert mapped_file(saved) == str(path)
    again = trained()
    again.load_state_dict(content['optimizer'])
    own = again.optimizer.state[again.optimizer.param_groups[0]['params'][0]]['exp_avg']
    assert own.equal(saved) and mapped_file(own) != str(path)
