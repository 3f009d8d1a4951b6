"""Check what a tokenizer decodes in evaluation."""

import torch
from torch import Tensor

from openmagvit2.errors import UserError


def check_decoded(out: Tensor, what: str) -> None:
    """Raise UserError if the decoder's output has NaN or infinity, which 8 bits would hide;
    synchronizes with the device.
    """
    if not out.isfinite().all():
        raise UserError(
            f'The decoder gives NaN or infinite numbers for {what}; use another checkpoint.'
        )


def named_batch(index: Tensor | None) -> str:
    """Return how errors refer to a batch: by its images' numbers in the data set, if known."""
    if index is None:
        return 'a batch of images'
    numbers = torch.as_tensor(index).flatten().tolist()
    return (
        f'the batch of images {", ".join(map(str, numbers[:3]))}{", …" if len(numbers) > 3 else ""}'
    )
