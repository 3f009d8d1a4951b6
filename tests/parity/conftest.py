"""Makes the helpers beside the parity tests importable; collects those of official modules' goldens
only where the goldens are.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from appendix import GOLDENS  # noqa: E402

collect_ignore = [] if GOLDENS.is_dir() else ['shared']
