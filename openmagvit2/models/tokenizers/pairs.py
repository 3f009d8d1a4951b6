"""Check that an encoder and a decoder fit each other."""

from torch import nn

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
