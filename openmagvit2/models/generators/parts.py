"""Build the parts of a generator from their configs and from what follows from other parts."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from openmagvit2.errors import UserError, about
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.factorization import TokenFactorization
from openmagvit2.models.heads.base import Head
from openmagvit2.models.layers.arguments import handed
from openmagvit2.models.quantizers.base import BaseQuantizer
from openmagvit2.registry import FACTORIZATIONS, HEADS, Registry
from openmagvit2.signatures import accepted

if TYPE_CHECKING:
    from openmagvit2.models.tokenizers import VisualTokenizer


class Trainable(nn.Module):
    """The trained parts of a generator as one module, which data parallelism wraps.

    Args:
        parts: Modules by their names in the generator.
        losses: Method of the generator that the forward pass calls.
    """

    def __init__(
        self, parts: dict[str, nn.Module], losses: Callable[..., dict[str, Tensor]]
    ) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.losses = losses

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Return losses by name."""
        return self.losses(*args, **kwargs)


def image_grid(
    tokenizer: 'VisualTokenizer', image_size: int | Sequence[int] | None
) -> tuple[int, ...]:
    """Return the shape of the latent grid of an image.

    Args:
        tokenizer: Tokenizer; its encoder may have a fixed image size.
        image_size: Sides in pixels, or one number for squares.

    Raises:
        UserError: Neither gives the size, or the encoder does not accept it.
    """
    encoder = tokenizer.encoder
    axes = len(encoder.stride or encoder.image_size or (0, 0))
    size = sides(image_size, 'model.image_size', axes) or encoder.image_size
    if size is None:
        raise UserError(
            'model.image_size: the tokenizer accepts any image size; set the height and width of '
            'the images to generate, in pixels.'
        )
    with about('model.image_size'):
        encoder.check_size(size)
    return tuple(tokenizer.grid(size))


def sides(size: int | Sequence[int] | None, path: str, axes: int = 2) -> tuple[int, ...] | None:
    """Return the sides of images as a tuple; None for None.

    Args:
        size: Sides in pixels, or one number for squares.
        path: Key in the config, for errors.
        axes: Number of sides.

    Raises:
        UserError: ``size`` is neither a positive integer nor one for each side.
    """
    if size is None:
        return None
    found = (size, size) if isinstance(size, int) else tuple(size)
    if len(found) != axes or min(found) < 1:
        raise UserError(f'{path} must be {axes} integers ≥ 1, got {size!r}.')
    return found


def class_of(registry: Registry, config: dict) -> Any:
    """Return the class of a part's config, or None if the registry has none of that name."""
    kind = config.get('type')
    return registry.get(kind) if isinstance(kind, str) else kind


def build_factorization(
    config: dict | None, head: dict, quantizer: BaseQuantizer
) -> TokenFactorization:
    """Build the factorization; one sub-token per token for a head that predicts whole tokens."""
    cls, config = class_of(HEADS, head), dict(config or dict(type='TokenFactorization'))
    sizes = quantizer.codebook_sizes
    if cls is not None and cls.joint:
        other = sorted(config.keys() - accepted(TokenFactorization) - {'type'})
        if other and config.get('type') in (None, 'TokenFactorization'):
            raise UserError(
                f'model.factorization: `TokenFactorization` has no argument `{other[0]}`.'
            )
        size = math.prod(sizes)
        config = dict(type='TokenFactorization', vocab_sizes=[size])
        print_log(
            f'model.factorization: {cls.__name__} does not factorize tokens, so it is [{size}].',
            'current',
            logging.INFO,
        )
    return FACTORIZATIONS.build(handed(dict(codebook_sizes=sizes), config, 'model.factorization'))


def build_head(
    config: dict, vocab_sizes: Sequence[int], backbone: Backbone, quantizer: BaseQuantizer
) -> Head:
    """Build the head with the arguments that follow from backbone and quantizer."""
    cls = class_of(HEADS, config)
    known = accepted(cls) if cls is not None else set()
    shared: dict[str, Any] = dict(vocab_sizes=vocab_sizes, dim=backbone.dim)
    free = dict(num_heads=backbone.num_heads) if 'num_heads' in known else {}
    # A head with `row_dim` but no `embedding` argument always embeds with the code vectors.
    by_vectors = config.get('embedding') == 'CodeEmbedding' or 'embedding' not in known
    if by_vectors and 'row_dim' in known:
        first = torch.zeros(1, 1, len(vocab_sizes), dtype=torch.int64)
        shared['row_dim'] = code_rows(quantizer)(first).shape[-1]
    return HEADS.build(free | handed(shared, config, 'model.head'))


def code_rows(quantizer: BaseQuantizer) -> Callable[[Tensor], Tensor]:
    """Return the function from sub-tokens (B, T, k), one per codebook, to vectors (B, T, k, d)."""
    one = len(quantizer.codebook_sizes) == 1
    return lambda sub_indices: quantizer.rows(sub_indices[..., 0] if one else sub_indices)
