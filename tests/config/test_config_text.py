"""The text of a config is formatted once and follows every change."""

from pathlib import Path

from mmengine.config import Config

from openmagvit2.config import load_config

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


def test_it_is_that_of_mmengine_and_formatted_once(monkeypatch):
    loaded = load_config(CONFIG)
    expected = Config(loaded.to_dict()).pretty_text
    assert "type='LFQ'" in expected and loaded.pretty_text == expected
    monkeypatch.delattr(Config, 'pretty_text')
    assert loaded.pretty_text == loaded.copy().pretty_text == loaded.dump() == expected


def test_a_change_is_seen():
    loaded = load_config(CONFIG)
    before = loaded.pretty_text
    loaded.model.quantizer.num_bits = 5
    assert loaded.pretty_text == before.replace('num_bits=8', 'num_bits=5') != before
