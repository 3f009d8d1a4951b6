"""Whether an encoder and a decoder belong together."""

from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import written


def check_pair(encoder: nn.Module, decoder: nn.Module) -> None:
    """Check that the decoder's image of the encoder's grid has the size of the encoder's image.

    Parts without the base classes of their slots do not say, and pass.

    Raises:
        UserError: It has another size, or the decoder takes no such grid.
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
            f'model.encoder ({type(encoder).__name__}) makes {written(grid)} codes of '
            f'{written(size)} pixels, and model.decoder ({type(decoder).__name__}) '
            f'{written(made)} pixels of these; give both the same steps of size.'
        )
