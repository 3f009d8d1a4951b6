"""Stage I: encoder, quantizer and decoder, and their training step."""

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from openmagvit2.checkpoint import load_start
from openmagvit2.errors import UserError
from openmagvit2.models.decoders.base import BaseDecoder, run_decoder
from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import handed
from openmagvit2.models.layers.iteration import PerIteration
from openmagvit2.models.losses import Adversarial
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.models.tokenizers.autoencoder import AutoEncoder
from openmagvit2.models.tokenizers.checks import check_decoded, check_pair, named_batch
from openmagvit2.models.tokenizers.training import Training
from openmagvit2.protocols import LoadsWeights
from openmagvit2.registry import DECODERS, ENCODERS, MODELS, QUANTIZERS
from openmagvit2.signatures import Kind


@MODELS.register_module()
class VisualTokenizer(BaseModel):
    """Image tokenizer assembled from slots; the quantizer decides the channel widths between them.

    Args:
        encoder, quantizer, decoder: Configs of the slots.
        pixels: Config of the pixel range inside the networks, [-1, 1] by default.
        training: Arguments of :class:`Training`: losses, the adversarial training, frozen parts.
        pad_value: Padding value in evaluation for images whose sides the stride does not divide:
            0 is gray, -1 is black.
        data_preprocessor: Config; maps uint8 batches to [-1, 1] by default.

    Raises:
        UserError: ``training.quantizer_losses`` sets a weight other than the default for a loss
            that the quantizer does not emit; encoder and decoder do not fit each other.
    """

    # What metrics measure: see `evaluation.stages`.
    stage = 'tokenizer'
    slots = dict(
        encoder=ENCODERS,
        quantizer=QUANTIZERS,
        decoder=DECODERS,
        pixels=MODELS,
        training=Training,
        data_preprocessor=MODELS,
    )

    def __init__(
        self,
        *,
        encoder: dict,
        quantizer: dict,
        decoder: dict,
        pixels: dict | None = None,
        training: dict | None = None,
        pad_value: Annotated[float, Kind('a number from -1 to 1', lambda x: abs(x) <= 1)] = 0.0,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(MODELS.build(data_preprocessor or dict(type='ImagePreprocessor')))
        self.pixels = MODELS.build(pixels or dict(type='Pixels'))
        self.quantizer: BaseQuantizer = QUANTIZERS.build(quantizer)
        widths = dict(out_channels=self.quantizer.in_channels)
        self.encoder: BaseEncoder = ENCODERS.build(handed(widths, encoder, 'model.encoder'))
        widths = dict(in_channels=self.quantizer.code_dim)
        if self.pixels.channels != 3 or 'out_channels' in decoder:
            widths['out_channels'] = self.pixels.channels
        self.decoder: BaseDecoder = DECODERS.build(handed(widths, decoder, 'model.decoder'))
        check_pair(self.encoder, self.decoder)
        # Not `training`, which is the mode of an nn.Module.
        self.recipe = Training(**(training or {}))
        self.discriminator: nn.Module | None = None
        # Direct children of the model, so that checkpoints keep the names of version 1.
        game = self.recipe.adversarial
        parts = game.build_parts() if game is not None else {}
        self.regularizer_names = [name for name in parts if name != 'discriminator']
        self.pad_value = pad_value
        taken = {*dir(self), 'training'} & {*self.regularizer_names}
        if taken:
            raise UserError(
                f'training.adversarial.regularizers: the model already has an attribute '
                f'`{min(taken)}`; set another `name`.'
            )
        for name, part in parts.items():
            setattr(self, name, part)
        for name in self.recipe.freeze:
            getattr(self, name).requires_grad_(False)

    @property
    def autoencoder(self) -> AutoEncoder:
        """The trained parts as one module; made on access, so state dicts name each tensor once."""
        parts = dict(encoder=self.encoder, quantizer=self.quantizer, decoder=self.decoder)
        return AutoEncoder(self.pixels, **parts, frozen=self.frozen)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the frozen parts."""
        return self.recipe.freeze

    def roles(self) -> dict[str, nn.Module]:
        """Return the modules that have an optimizer, by name."""
        roles: dict[str, nn.Module] = dict(autoencoder=self.autoencoder)
        if self.discriminator is not None:
            roles['discriminator'] = self.discriminator
        return roles

    def train(self, mode: bool = True) -> 'VisualTokenizer':
        """Set the mode; keep frozen parts in eval mode."""
        super().train(mode)
        for name in self.frozen:
            getattr(self, name).eval()
        return self

    def init_weights(self) -> None:
        """Load the weights that only training needs; the Runner calls it before the first image."""
        self.recipe.load_weights()
        if isinstance(self.pixels, LoadsWeights):
            self.pixels.load_weights()
        if self.recipe.start.checkpoint is not None:
            load_start(self, **vars(self.recipe.start))

    # ---- use -------------------------------------------------------------------------------------
    def grid(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the latent grid of images of ``size``: (h, w) for (H, W) in most
        encoders. ``size`` must need no padding by :meth:`pad`.
        """
        return self.encoder.grid(size)

    def pad(self, image: Tensor, repeat: bool = False) -> tuple[Tensor, tuple[slice, ...]]:
        """Pad an image to sides that the encoder's stride divides.

        Args:
            image: (B, 3, *size).
            repeat: Pad on the right and at the bottom by repeating the last pixels, instead of on
                all sides with ``pad_value``.

        Returns:
            The padded image, and one slice per axis that crops a reconstruction to the image.
        """
        size = image.shape[2:]
        steps = self.encoder.stride or (1,) * len(size)
        borders: list[int] = []
        crop: list[slice] = []
        for side, step in zip(size, steps, strict=True):
            # Half of the border, rounded down, goes to the left and to the top.
            before = 0 if repeat else -side % step // 2
            # F.pad takes the last axis first.
            borders = [before, -side % step - before, *borders]
            crop.append(slice(before, before + side))
        mode = dict(mode='replicate') if repeat else dict(value=self.pad_value)
        return F.pad(image, borders, **mode), tuple(crop)

    def encode(self, image: Tensor) -> QuantizerOutput:
        """Map an image (B, 3, *size) in [-1, 1] to codes and indices; its sides must be divisible
        by ``encoder.stride``.
        """
        return self.quantizer(self.encoder(self.pixels.to_network(image)))

    def decode(self, codes: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Map codes to images in about [-1, 1], not clamped.

        Args:
            codes: (B, D, *grid) of any float type.
            size: Height and width, for decoders that cannot derive them from the grid.
        """
        # Codes from indices are float32; weights may have a lower precision.
        codes = codes.to(next(self.decoder.parameters()).dtype)
        return self.pixels.to_image(run_decoder(self.decoder, codes, size))

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Map indices int64 (B, *token_shape) to images in about [-1, 1], not clamped.

        Raises:
            UserError: See :meth:`check_indices`.
        """
        return self.decode(self.quantizer.indices_to_codes(self.check_indices(indices)))

    def index_axes(self) -> list[str]:
        """Return names of the axes of a batch of indices: 'B', one for each axis of cells and, with
        several digits, their number.
        """
        # Where the quantizer takes any grid, all grids give the same names.
        size = self.encoder.image_size or self.encoder.stride or ()
        grid = self.quantizer.fixed_grid or self.grid(size)
        digits = len(self.quantizer.codebook_sizes)
        cells = len(self.quantizer.token_shape(grid)) - (digits > 1)
        names = ['n'] if cells == 1 else list('thw'[-cells:])
        return ['B', *names, *([str(digits)] if digits > 1 else [])]

    def check_indices(self, indices: Tensor) -> Tensor:
        """Check indices (B, *token_shape) and return them as int64.

        Raises:
            UserError: The shape is wrong, or indices are not integers or not in the codebook.
        """
        axes = self.index_axes()
        if indices.dim() != len(axes):
            raise UserError(
                f'indices must have the shape ({", ".join(axes)}), got {tuple(indices.shape)}; a '
                f'single image has a first axis of length 1.'
            )
        return self.quantizer.check_indices(indices)

    def reconstruct(self, image: Tensor) -> Tensor:
        """Encode and decode (B, 3, H, W) in [-1, 1]; the result is not clamped."""
        return self.decode(self.encode(image).codes)

    def forward(self, image: Tensor) -> Tensor:
        """See :meth:`reconstruct`."""
        return self.reconstruct(image)

    @torch.no_grad()
    def val_step(self, data: dict) -> list[dict]:
        """Return one dict of batched tensors: ``image``, ``reconstruction`` (clamped to [-1, 1]),
        ``indices`` and ``codebook_sizes``; for metrics of version 1 also ``codebook_size`` (of the
        first codebook) and ``num_codebooks``.

        Raises:
            UserError: The encoder or decoder outputs NaN or infinity, which 8 bits would hide.
        """
        image = self.data_preprocessor(data, False)['image']
        padded, crop = self.pad(image)
        out, quantized = self.autoencoder(padded)
        what = named_batch(data.get('index'))
        quantized.check_finite(what)
        check_decoded(out, what)
        reconstruction = self.pixels.to_image(out)[(..., *crop)].float().clamp(-1, 1)
        sizes = tuple(self.quantizer.codebook_sizes)
        return [
            dict(
                image=image,
                reconstruction=reconstruction,
                indices=quantized.indices,
                codebook_sizes=sizes,
                codebook_size=sizes[0],
                num_codebooks=len(sizes),
            )
        ]

    def test_step(self, data: dict) -> list[dict]:
        """See :meth:`val_step`, which a subclass may replace."""
        return self.val_step(data)

    # ---- training --------------------------------------------------------------------------------
    def train_step(
        self,
        data: dict,
        optim_wrapper: OptimWrapperDict,
        handles: dict[str, nn.Module] | None = None,
        iteration: int = 0,
    ) -> dict[str, Tensor]:
        """Take one step of the autoencoder and one of the discriminator on the same reconstruction.

        Args:
            data: A batch of the data set.
            optim_wrapper: One wrapper for each role.
            handles: Data-parallel wrappers of the roles; None for the modules themselves, as in a
                single process.
            iteration: Number of finished iterations, for schedules.

        Returns:
            Detached scalars for the log.
        """
        handles = handles or self.roles()
        image = self.data_preprocessor(data, True)['image']
        game, wrapper = self._game(iteration), optim_wrapper['autoencoder']
        with wrapper.optim_context(handles['autoencoder']):
            out, quantized = handles['autoencoder'](image)
        log: dict[str, Tensor] = {}
        if game is not None:
            fake = self.pixels.to_image(out.detach())
            judged = (game, optim_wrapper, handles, image, fake, iteration)
            if game.first == 'discriminator':
                log = self.discriminator_step(*judged)

        with wrapper.optim_context(handles['autoencoder']):
            terms, losses, stats = self.autoencoder_terms(image, out, quantized, iteration)
            loss = sum(terms[1:], terms[0])
        wrapper.update_params(loss)
        log |= dict(loss=loss, **losses, **quantized.stats, **stats)

        if game is not None and game.first == 'generator':
            log |= self.discriminator_step(*judged)
        return {name: value.detach() for name, value in log.items()}

    def autoencoder_terms(
        self, image: Tensor, out: Tensor, quantized: QuantizerOutput, iteration: int
    ) -> tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Return the weighted losses of encoder, quantizer and decoder, and by name the unweighted
        losses and the statistics.

        Args:
            image: (B, 3, *size) in [-1, 1].
            out, quantized: Outputs of :attr:`autoencoder`.
            iteration: Number of finished iterations.

        Raises:
            UserError: No loss is left to train with.
        """
        terms = self.recipe.quantizer_terms(self.quantizer, quantized, iteration)
        more, losses = self.recipe.reconstruction_terms(image, out, self.pixels, iteration)
        terms, losses = terms + more, quantized.losses | losses
        stats: dict[str, Tensor] = {}
        game = self._game(iteration)
        if game is not None and self.discriminator is not None:
            term, played, stats = game.generator_terms(
                self.discriminator,
                image,
                self.pixels.to_image(out),
                sum(more, image.new_zeros(())),
                self.decoder.last_layer if game.adaptive else None,
                iteration,
            )
            terms, losses = [*terms, term], losses | played
        if not terms:
            raise UserError(
                'model.training: all losses are removed, and the quantizer emits none; add one '
                'under model.training.losses.'
            )
        return terms, losses, stats

    def discriminator_step(
        self,
        game: Adversarial,
        optim_wrapper: OptimWrapperDict,
        handles: dict[str, nn.Module],
        image: Tensor,
        fake: Tensor,
        iteration: int,
    ) -> dict[str, Tensor]:
        """Take one step of the discriminator on images and their reconstructions.

        Returns:
            Scalars for the log.
        """
        wrapper, handle = optim_wrapper['discriminator'], handles['discriminator']
        with wrapper.optim_context(handle):
            loss, losses, stats = game.discriminator_terms(
                handle, self._regularizers(), image, fake, iteration
            )
        wrapper.update_params(loss)
        return dict(disc_loss=loss, **losses, **stats)

    def check_micro_batches(self) -> None:
        """Raise UserError if the quantizer needs the whole batch in one pass."""
        if self.quantizer.indivisible:
            raise UserError(f'model.quantizer: {self.quantizer.indivisible}')

    def rehearse(self, data: dict, optim_wrapper: OptimWrapperDict, iteration: int = 0) -> None:
        """Run the forward passes of :meth:`train_step` without gradients or updates, for parts that
        must see the whole batch before its first micro-batch.
        """
        image = self.data_preprocessor(data, True)['image']
        with torch.no_grad(), optim_wrapper['autoencoder'].optim_context(self.autoencoder):
            out, _ = self.autoencoder(image)
            if self._game(iteration) is None or self.discriminator is None:
                return
            logits = [self.discriminator(x).float() for x in (image, self.pixels.to_image(out))]
            for part in self._regularizers().values():
                if isinstance(part, PerIteration):
                    part(*logits)

    def _game(self, iteration: int) -> Adversarial | None:
        game = self.recipe.adversarial
        return game if game is not None and game.is_active(iteration) else None

    def _regularizers(self) -> dict[str, nn.Module]:
        return {name: getattr(self, name) for name in self.regularizer_names}
