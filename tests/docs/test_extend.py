"""The page on adding a quantizer is short, and its code trains."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_trains(tmp_path):
    page = (ROOT / 'docs' / 'extend.md').read_text()
    code, config = re.findall(r'```python\n(.*?)```', page, re.S)
    assert len((code + config).splitlines()) < 40
    (tmp_path / 'sign_quantizer.py').write_text(code)
    (tmp_path / 'sign_32.py').write_text(
        config.replace("'configs/", f"'{os.path.relpath(ROOT, tmp_path)}/configs/")
    )
    # From another directory: the file is found beside the config.
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / 'tools' / 'train.py'),
            str(tmp_path / 'sign_32.py'),
            '--work-dir',
            str(tmp_path / 'run'),
        ]
        + ['--cfg-options', 'train_cfg.max_iters=2'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (tmp_path / 'run' / 'iter_2.pth').is_file(), done.stderr[-2000:]
