"""How mmengine's Runner reads a checkpoint: safely, and mapped."""

from typing import Any

from mmengine.runner import CheckpointLoader

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.checkpoint.sharded import is_sharded, open_sharded


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_mapped_file(filename: str, map_location: Any = None) -> dict:
    """Read a file or a sharded checkpoint of this machine.

    Of a sharded one, nothing is read yet: each process reads what it needs later (:func:`like`).
    Tensors of a file are maps of it whatever ``map_location`` says: all processes of a machine
    share the pages, and what each takes to its device it takes tensor by tensor. mmengine's own
    reader copies the whole file into the memory of each process, or of each GPU beside the model.

    Args:
        filename: Path.
        map_location: Given by mmengine; not used.
    """
    return open_sharded(filename) if is_sharded(filename) else read_checkpoint(filename)
