"""Check that the parts of a tokenizer fit each other, and what it decodes in evaluation."""

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import written


def check_pair(encoder: nn.Module, decoder: nn.Module) -> None:
    """Raise UserError if the decoder does not map the encoder's grid back to the size of the image.

    Parts that do not derive from the base class of their slot are not checked.
    """
    if not (isinstance(encoder, BaseEncoder) and isinstance(decoder, BaseDecoder)):
        return
    own = encoder.image_size or decoder.image_size
    size = tuple(own or (8 * step for step in encoder.stride or ()))
    if not size:
        return
    grid = encoder.grid(size)
    made = decoder.image_size_of(grid)
    if made is not None and tuple(made) != size:
        raise UserError(
            f'model.encoder ({type(encoder).__name__}) maps {written(size)} pixels to '
            f'{written(grid)} codes, but model.decoder ({type(decoder).__name__}) maps these to '
            f'{written(made)} pixels; give both the same scale factor.'
        )


def check_decoded(out: Tensor, what: str) -> None:
    """Raise UserError if the decoder's output has NaN or infinity, which 8 bits would hide;
    synchronizes with the device.
    """
    if not out.isfinite().all():
        raise UserError(f'The decoder outputs NaN or infinity for {what}; use another checkpoint.')


def named_batch(index: Tensor | None) -> str:
    """Return how errors refer to a batch: by its images' numbers in the data set, if known."""
    if index is None:
        return 'a batch of images'
    numbers = torch.as_tensor(index).flatten().tolist()
    return (
        f'the batch of images {", ".join(map(str, numbers[:3]))}{", …" if len(numbers) > 3 else ""}'
    )
