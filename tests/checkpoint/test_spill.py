"""Tensors that a conversion computes are kept in a file, not in memory."""

from pathlib import Path

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_official, to_ours
from openmagvit2.checkpoint.mapped import release
from openmagvit2.checkpoint.spill import Spill
from openmagvit2.workflows.convert import convert


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_numbers(tmp_path, dtype):
    torch.manual_seed(0)
    given = (torch.randn(5, 7) * 3).to(dtype)
    with Spill(tmp_path / 'new') as spill:
        view, computed, none = spill.keep([given[1:], given.clone().T, given[:0].clone()], [given])
        (more,) = spill.keep([given.clone()], [given])
        assert view.data_ptr() == given[1:].data_ptr() and len(none) == 0
        release({str(spill.path.resolve())})
        assert computed.equal(given.T) and more.equal(given)
        assert computed.untyped_storage().nbytes() == given.nbytes
    assert list((tmp_path / 'new').iterdir()) == []


def mapped_from(path: Path, tensors: dict[str, torch.Tensor]) -> set[str]:
    """Return the names of the tensors that are mapped from a file."""
    lines = [line.split(maxsplit=5) for line in Path('/proc/self/maps').read_text().splitlines()]
    spans = [fields[0].split('-') for fields in lines if fields[5:] == [str(path)]]
    ranges = [(int(start, 16), int(end, 16)) for start, end in spans]
    return {n for n, x in tensors.items() if any(a <= x.data_ptr() < b for a, b in ranges)}


@pytest.mark.skipif(not Path('/proc/self/maps').exists(), reason='maps are listed on Linux')
def test_joined_tensors_are_mapped_both_ways(tmp_path):
    """RQ-Transformer's queries, keys and values are three official tensors and one of ours."""
    torch.manual_seed(0)
    model = init_model('tiny/ar_rq_32')
    own = model.state_dict()
    official = to_official(dict(state_dict=own), model)[0]['state_dict']
    name = next(name for name in own if name.startswith('backbone.') and 'qkv' in name)
    with Spill(tmp_path) as spill:
        ours = to_ours(official, model, spill=spill)[0]['state_dict']
        assert name in mapped_from(spill.path, ours)
        back = to_official(dict(state_dict=ours), model, spill=spill)[0]['state_dict']
        assert len(mapped_from(spill.path, back)) >= 3
        assert all(ours[n].equal(own[n]) for n in own)
        assert all(back[n].equal(official[n]) for n in official)


def test_a_conversion_leaves_no_other_file(tmp_path):
    torch.manual_seed(0)
    model = init_model('tiny/ar_rq_32')
    state = to_official(dict(state_dict=model.state_dict()), model)[0]
    torch.save(state, tmp_path / 'official.pt')
    convert([tmp_path / 'official.pt'], tmp_path / 'out' / 'ours.pth', 'tiny/ar_rq_32')
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['ours.pth']
    ours = torch.load(tmp_path / 'out' / 'ours.pth', weights_only=True)['state_dict']
    assert all(ours[name].equal(value) for name, value in model.state_dict().items())
