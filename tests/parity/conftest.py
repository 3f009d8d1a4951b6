"""Makes the helpers of the parity tests importable; collects tests that need the goldens of
official modules only where these exist.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from appendix import GOLDENS  # noqa: E402

collect_ignore = [] if GOLDENS.is_dir() else ['shared']
