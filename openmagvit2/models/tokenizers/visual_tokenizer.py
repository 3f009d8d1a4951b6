"""Stage I: encoder, quantizer, decoder, and the losses and discriminator that train them (spec
§3).
"""

import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.quantizers.base import QuantizerOutput
from openmagvit2.registry import DECODERS, DISCRIMINATORS, ENCODERS, LOSSES, MODELS, QUANTIZERS

DEFAULT_QUANTIZER_WEIGHTS = dict(entropy=0.1, commitment=0.25, codebook=1.0)


class AutoEncoder(nn.Module):
    """The part of a tokenizer with one optimizer, as data parallelism wraps it: image to
    reconstruction and quantizer output.
    """

    def __init__(self, encoder: nn.Module, quantizer: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder

    def forward(self, image: Tensor) -> tuple[Tensor, QuantizerOutput]:
        """(B, 3, H, W) in [-1, 1] to a reconstruction of the same shape (not clamped) and the
        quantizer's output.
        """
        out = self.quantizer(self.encoder(image))
        return self.decoder(out.codes), out


@MODELS.register_module()
class VisualTokenizer(BaseModel):
    """Image tokenizer assembled from slots; the quantizer decides the channel widths between them.

    Args:
        encoder, quantizer, decoder, discriminator: Configs of the slots; no discriminator means no
            adversarial training.
        reconstruction_loss, perceptual_loss, adversarial_loss, lecam_loss: Configs of losses; the
            perceptual one may be None.
        quantizer_loss_weights: Weight of each loss that the quantizer emits; one that is not named
            has weight 1.
        reconstruction_weight, perceptual_weight, adversarial_weight, lecam_weight: Weights of the
            other losses.
        disc_start: Iteration from which the discriminator takes part.
        pad_value: Border in evaluation around images whose sides the stride does not divide: 0 is
            gray, -1 is black (spec §6.3).
        data_preprocessor: Config; maps uint8 batches to [-1, 1] by default.

    Raises:
        UserError: ``quantizer_loss_weights`` names a loss that the quantizer does not emit, at
            another than its default weight.
    """

    # What metrics measure: see `evaluation.stages`.
    stage = 'tokenizer'

    def __init__(
        self,
        *,
        encoder: dict,
        quantizer: dict,
        decoder: dict,
        discriminator: dict | None = None,
        reconstruction_loss: dict | None = None,
        perceptual_loss: dict | None = None,
        adversarial_loss: dict | None = None,
        lecam_loss: dict | None = None,
        quantizer_loss_weights: dict | None = None,
        reconstruction_weight: float = 1.0,
        perceptual_weight: float = 1.0,
        adversarial_weight: float = 0.1,
        lecam_weight: float = 0.05,
        disc_start: int = 0,
        pad_value: float = 0.0,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor or dict(type='ImagePreprocessor'))
        self.quantizer = QUANTIZERS.build(quantizer)
        self.encoder = ENCODERS.build(dict(encoder, out_channels=self.quantizer.in_channels))
        self.decoder = DECODERS.build(dict(decoder, in_channels=self.quantizer.code_dim))
        self.discriminator = DISCRIMINATORS.build(discriminator) if discriminator else None
        self.reconstruction_loss = LOSSES.build(reconstruction_loss or dict(type='L1Loss'))
        self.perceptual_loss = LOSSES.build(perceptual_loss) if perceptual_loss else None
        self.adversarial_loss = LOSSES.build(adversarial_loss or dict(type='AdversarialLoss'))
        self.lecam = LOSSES.build(lecam_loss or dict(type='LeCAM')) if discriminator else None
        self.quantizer_loss_weights = DEFAULT_QUANTIZER_WEIGHTS | (quantizer_loss_weights or {})
        self.reconstruction_weight = reconstruction_weight
        self.perceptual_weight = perceptual_weight
        self.adversarial_weight = adversarial_weight
        self.lecam_weight = lecam_weight
        self.disc_start = disc_start
        self.pad_value = pad_value

    @property
    def autoencoder(self) -> AutoEncoder:
        """A view of the parts as they are now; the state dict names each parameter once."""
        return AutoEncoder(self.encoder, self.quantizer, self.decoder)

    def roles(self) -> dict[str, nn.Module]:
        """The modules with an optimizer of their own, by name."""
        roles = dict(autoencoder=self.autoencoder)
        if self.discriminator is not None:
            roles['discriminator'] = self.discriminator
        return roles

    def init_weights(self) -> None:
        """Read what only training needs, before the first image is read; called by the Runner."""
        if self.perceptual_loss is not None:
            self.perceptual_loss.load_weights()

    # ---- use -------------------------------------------------------------------------------------
    def encode(self, image: Tensor) -> QuantizerOutput:
        """(B, 3, H, W) in [-1, 1], H and W divisible by ``encoder.downscale``, to codes and
        indices.
        """
        return self.quantizer(self.encoder(image))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, D, *grid) of any float type to images around [-1, 1], not clamped."""
        # Codes of indices are float32, weights may be of a lower precision.
        return self.decoder(codes.to(next(self.decoder.parameters()).dtype))

    def decode_indices(self, indices: Tensor) -> Tensor:
        """int64 (B, *grid) to images around [-1, 1], not clamped.

        Raises:
            UserError: See :meth:`check_indices`.
        """
        return self.decode(self.quantizer.indices_to_codes(self.check_indices(indices)))

    def check_indices(self, indices: Tensor) -> Tensor:
        """Indices (B, h, w), with several codebooks (B, h, w, codebooks), as int64, checked.

        Raises:
            UserError: Another shape, no whole numbers, or one that is not in the codebook.
        """
        books = self.quantizer.num_codebooks
        axes = ('B', 'h', 'w') if books == 1 else ('B', 'h', 'w', str(books))
        if indices.dim() != len(axes):
            raise UserError(
                f'indices must have the shape ({", ".join(axes)}), got {tuple(indices.shape)}; a '
                f'single image has a first axis of length 1.'
            )
        return self.quantizer.check_indices(indices)

    def reconstruct(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] through the codes and back, not clamped."""
        return self.decode(self.encode(image).codes)

    def forward(self, image: Tensor) -> Tensor:
        """The same as :meth:`reconstruct`."""
        return self.reconstruct(image)

    @torch.no_grad()
    def val_step(self, data: dict) -> list[dict]:
        """One dict of batched tensors: ``image``, ``reconstruction`` (clamped to [-1, 1]),
        ``indices`` and ``codebook_sizes``.

        Raises:
            UserError: Encoder or decoder gives NaN or infinite numbers, which 8 bits would hide.
        """
        image = self.data_preprocessor(data, False)['image']
        height, width = image.shape[2:]
        more = [-side % self.encoder.downscale for side in (width, height)]
        # Half of the border, rounded down, to the left and above.
        left, top = (side // 2 for side in more)
        borders = (left, more[0] - left, top, more[1] - top)
        reconstruction, out = self.autoencoder(F.pad(image, borders, value=self.pad_value))
        what = _named(data.get('index'))
        out.check_finite(what)
        if not reconstruction.isfinite().all():
            raise UserError(
                f'The decoder gives NaN or infinite numbers for {what}; use another checkpoint.'
            )
        return [
            dict(
                image=image,
                reconstruction=reconstruction[:, :, top : top + height, left : left + width]
                .float()
                .clamp(-1, 1),
                indices=out.indices,
                codebook_sizes=self.quantizer.codebook_sizes,
            )
        ]

    def test_step(self, data: dict) -> list[dict]:
        """The same as :meth:`val_step`, a subclass's too."""
        return self.val_step(data)

    # ---- training --------------------------------------------------------------------------------
    def train_step(
        self,
        data: dict,
        optim_wrapper: OptimWrapperDict,
        handles: dict[str, nn.Module] | None = None,
    ) -> dict[str, Tensor]:
        """One step of the generator, then one of the discriminator on the same reconstruction (spec
        §3.4).

        Args:
            data: A batch of the data set.
            optim_wrapper: One wrapper for each role.
            handles: Data-parallel wrappers of the roles; the modules themselves in a single
                process.

        Returns:
            Detached scalars for the log.
        """
        handles = handles or self.roles()
        image = self.data_preprocessor(data, True)['image']
        adversarial = self.discriminator is not None and _iteration() >= self.disc_start

        with optim_wrapper['autoencoder'].optim_context(handles['autoencoder']):
            reconstruction, out = handles['autoencoder'](image)
            losses = self.generator_losses(image, reconstruction, out, adversarial)
            loss = sum(self._weight(name) * value for name, value in losses.items())
        optim_wrapper['autoencoder'].update_params(loss)
        log = dict(loss=loss, **losses, **out.stats)

        if adversarial:
            with optim_wrapper['discriminator'].optim_context(handles['discriminator']):
                losses, stats = self.discriminator_losses(
                    handles['discriminator'], image, reconstruction.detach()
                )
                loss = losses['disc_adversarial'] + self.lecam_weight * losses['lecam']
            optim_wrapper['discriminator'].update_params(loss)
            log.update(disc_loss=loss, **losses, **stats)
        return {name: value.detach() for name, value in log.items()}

    @torch.no_grad()
    def begin_step(self, micro_batches: list[dict], optim_wrapper: OptimWrapperDict) -> None:
        """Before the micro-batches of one step: what losses over the whole batch must know of it,
        at the cost of a forward pass.

        Only where the quantizer asks for it (``whole_batch``); LeCAM's averages then also see the
        batch as one. So an iteration is the same with micro-batches and without, up to rounding.
        """
        if not self.quantizer.whole_batch:
            return
        adversarial = self.discriminator is not None and _iteration() >= self.disc_start
        images = [self.data_preprocessor(data, True)['image'] for data in micro_batches]
        with optim_wrapper['autoencoder'].optim_context(self.autoencoder):
            latents = [self.encoder(image) for image in images]
            self.quantizer.begin_step(latents)
            if adversarial:
                # In eval mode it leaves the losses, and what was just noted, alone.
                self.quantizer.eval()
                fakes = [
                    self.discriminator(self.decoder(self.quantizer(z).codes)).float()
                    for z in latents
                ]
                self.quantizer.train()
                reals = [self.discriminator(image).float() for image in images]
                self.lecam.begin_step(torch.cat(reals), torch.cat(fakes), len(images))

    def generator_losses(
        self, image: Tensor, reconstruction: Tensor, out: QuantizerOutput, adversarial: bool
    ) -> dict[str, Tensor]:
        """Unweighted losses of encoder, quantizer and decoder by name."""
        with torch.autocast(image.device.type, enabled=False):
            losses = dict(
                out.losses, reconstruction=self.reconstruction_loss(reconstruction.float(), image)
            )
            if self.perceptual_loss is not None:
                losses['perceptual'] = self.perceptual_loss(reconstruction.float(), image)
        self._check_weights(out.losses)
        if adversarial:
            # The discriminator only passes gradients on here; its own step follows.
            trained = [p for p in self.discriminator.parameters() if p.requires_grad]
            self.discriminator.requires_grad_(False)
            losses['adversarial'] = self.adversarial_loss.generator_loss(
                self.discriminator(reconstruction).float()
            )
            # What the user froze stays frozen.
            for parameter in trained:
                parameter.requires_grad_(True)
        return losses

    def discriminator_losses(
        self, discriminator: nn.Module, image: Tensor, reconstruction: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Unweighted losses of the discriminator, and its mean logits and LeCAM's averages, by
        name; ``reconstruction`` is detached.
        """
        real, fake = discriminator(image).float(), discriminator(reconstruction).float()
        losses = dict(
            disc_adversarial=self.adversarial_loss.discriminator_loss(real, fake),
            lecam=self.lecam(real, fake),
        )
        averages = {f'lecam_{name}': value.clone() for name, value in self.lecam.named_buffers()}
        return losses, dict(logits_real=real.mean(), logits_fake=fake.mean(), **averages)

    def _weight(self, name: str) -> float:
        own = dict(
            reconstruction=self.reconstruction_weight,
            perceptual=self.perceptual_weight,
            adversarial=self.adversarial_weight,
        )
        return own.get(name, self.quantizer_loss_weights.get(name, 1.0))

    def _check_weights(self, emitted: dict[str, Tensor]) -> None:
        for name, weight in self.quantizer_loss_weights.items():
            if name not in emitted and weight != DEFAULT_QUANTIZER_WEIGHTS.get(name):
                raise UserError(
                    f'model.quantizer_loss_weights.{name}: {type(self.quantizer).__name__} emits '
                    f'no such loss '
                    f'(it has: {", ".join(emitted) or "none"}); remove the key.'
                )


def _named(index: Tensor | None) -> str:
    """What errors call a batch: the numbers of its images in the data set, where they are known."""
    if index is None:
        return 'a batch of images'
    numbers = torch.as_tensor(index).flatten().tolist()
    return (
        f'the batch of images {", ".join(map(str, numbers[:3]))}{", …" if len(numbers) > 3 else ""}'
    )


def _iteration() -> int:
    """Iterations done so far; the Runner keeps the count in its message hub."""
    hub = MessageHub.get_current_instance()
    return hub.get_info('iter') if 'iter' in hub.runtime_info else 0
