"""Which checkpoints of a run stay on the disk."""

from pathlib import Path

from openmagvit2.engine.run import Run, checkpoints
from openmagvit2.engine.sharded import remove_sharded


class Rotation:
    """Keep the newest checkpoints of a run; those of other runs in the same folder stay.

    Args:
        most: Checkpoints to keep.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        # Each is read once only, to see whose it is.
        self._own: set[Path] = set()

    def add(self, path: Path, run: Run) -> None:
        """Remove the older checkpoints of a run, after a new one is written."""
        self._own.add(path)
        # After a resume from an older file there may be later ones; never remove the file just
        # written.
        others = [old for old in checkpoints(path.parent) if old != path and self._is_of(run, old)]
        for old in others[self.most - 1 :]:
            if old.is_dir():
                remove_sharded(old)
            else:
                old.unlink()

    def _is_of(self, run: Run, path: Path) -> bool:
        """Return whether a checkpoint is of a run; an unreadable one is not."""
        if path not in self._own and run.owns(path):
            self._own.add(path)
        return path in self._own
