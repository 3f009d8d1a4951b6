"""The migration guide names only keys that its two configs have."""

import re
from pathlib import Path

from openmagvit2.config import load_config
from openmagvit2.config.keys import top_level
from openmagvit2.config.slots import known_keys, place_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'guides' / 'migrate.md').read_text()


def is_key(config: dict, key: str) -> bool:
    node, place = dict.fromkeys(top_level()) | config, None
    for part in key.split('.'):
        if part not in set(node) | (known_keys(place, node, key) or set()):
            return False
        place, node = place_of(place, node, part), node.get(part) or {}
    return True


def test_every_key_is_one():
    tokenizer, generator = (
        load_config(ROOT / 'configs' / name).to_dict() for name in ('lfq_256.py', 'ar_b_256.py')
    )
    assert is_key(generator, 'model.backbone.dim') and not is_key(generator, 'model.backbone.dims')
    found = []
    for row in PAGE.splitlines():
        ours = row.split('|')[2] if row.count('|') == 3 else ''
        found += re.findall(r'`([a-z_]+(?:\.[a-z_]+)+)[`=]', ours)
    assert len(found) == 35
    unknown = [key for key in found if not is_key(tokenizer, key) and not is_key(generator, key)]
    assert not unknown
