"""Converting a full-size file needs only the memory of a part of it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from open_magvit2_names import official_names

from openmagvit2.apis import init_model

ROOT = Path(__file__).parents[2]
LIMIT = 2 * 2**30

RUN = f"""
import runpy, sys
code = runpy.run_path({str(ROOT / 'tools' / 'convert_checkpoint.py')!r})['main']()
# Not ru_maxrss, which starts at the value of the parent process.
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print('peak', int(status['VmHWM'].split()[0]) * 1024)
raise SystemExit(code)
"""


def peak(*arguments: object) -> int:
    """Return the peak memory of a run of the tool in bytes."""
    done = subprocess.run(
        [sys.executable, '-c', RUN, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rsplit('peak', 1)[1])


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/maps').exists(), reason='pages are given back on Linux')
def test_a_full_size_file_there_and_back(tmp_path):
    """AR-B with its tokenizer, 1.8 GB."""
    model = init_model('ar_b_256', device='meta')
    own, names = model.state_dict(), official_names(model)
    # Each tensor is a part of one block of values, with another start.
    numbers = torch.rand(2**24, generator=torch.Generator().manual_seed(0))
    state = {
        official: numbers[i : i + own[name].numel()].clone().view(own[name].shape)
        for i, (name, official) in enumerate(names.items())
    }
    largest = max(tensor.nbytes for tensor in state.values())
    torch.save(dict(state_dict=state), tmp_path / 'official.ckpt')
    config = ('--config', 'configs/ar_b_256.py')
    there = peak(tmp_path / 'official.ckpt', tmp_path / 'ours.pth', *config)
    back = peak(tmp_path / 'ours.pth', tmp_path / 'back.ckpt', *config, '--to', 'official')
    print(
        f'{sum(x.nbytes for x in state.values()) / 1e9:.2f} GB; peak {there / 1e9:.2f} GB there, '
        f'{back / 1e9:.2f} GB back'
    )
    assert max(there, back) <= LIMIT + largest
    returned = torch.load(tmp_path / 'back.ckpt', weights_only=True, mmap=True)['state_dict']
    assert returned.keys() == state.keys()
    assert all(returned[name].equal(state[name]) for name in state)
