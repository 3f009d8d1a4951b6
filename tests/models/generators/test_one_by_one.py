"""Large networks on a CPU decode images one by one, without padding, and give the samples of any
batch.
"""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.models.generators import sampling

SETTINGS = {
    'var_32': dict(guidance=2.0, schedule='linear'),
    'maskgit_32': dict(steps=3, choice_temperature=4.5),
    'titok_ar_32': dict(steps=3, guidance=2.0),
}
LABELS, NUMBERS = [3, 1, 3, 5], [0, 0, 1, 0]


def rows_of(module, monkeypatch, name: str) -> list[int]:
    """Record how many rows each call of a method gets."""
    rows, call = [], getattr(module, name)

    def counted(first, *args, **given):
        rows.append(len(first))
        return call(first, *args, **given)

    monkeypatch.setattr(module, name, counted)
    return rows


@pytest.mark.parametrize('name', SETTINGS)
def test_tokens(name, monkeypatch):
    torch.manual_seed(0)
    model = init_model(f'tiny/{name}').eval()
    together = model.generate(LABELS, SETTINGS[name], seed=3)
    rows = rows_of(model.backbone, monkeypatch, 'forward')
    model.generate(LABELS[:1], SETTINGS[name], seed=3)
    halves = 2 if 'guidance' in SETTINGS[name] else 1
    assert set(rows) == {sampling.LEAST_ROWS * halves}

    monkeypatch.setattr(sampling, 'LARGE', 1)
    rows.clear()
    alone = model.generate(LABELS, SETTINGS[name], seed=3)
    assert set(rows) == {halves}
    assert alone.equal(together)
    for i, label in enumerate(LABELS):
        assert model.generate([label], SETTINGS[name], 3, [NUMBERS[i]]).equal(alone[i : i + 1])


def test_pixels(monkeypatch):
    torch.manual_seed(0)
    model = init_model('tiny/ar_32').eval()
    indices = torch.randint(2**8, (3, *model.token_shape))
    together = model.decode_indices(indices)
    monkeypatch.setattr(sampling, 'LARGE', 1)
    rows = rows_of(model.tokenizer.decoder, monkeypatch, 'forward')
    alone = model.decode_indices(indices)
    assert rows == [1, 1, 1]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)
    assert model.decode_indices(indices[1:2]).equal(alone[1:2])
