"""The training part of a tokenizer: one dict of its config, which a generator drops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError
from openmagvit2.models.layers.iteration import PerIteration
from openmagvit2.models.losses import Adversarial, ReconstructionLoss, build_weight, check_call
from openmagvit2.models.quantizers.base import QuantizerOutput
from openmagvit2.models.tokenizers.pixels import Pixels
from openmagvit2.protocols import LoadsWeights
from openmagvit2.registry import LOSSES, Slot

DEFAULT_LOSSES: dict[str, Any] = dict(reconstruction=dict(type='L1Loss'))
DEFAULT_QUANTIZER_WEIGHTS = dict(entropy=0.1, commitment=0.25, codebook=1.0)
FREEZABLE = ('encoder', 'quantizer', 'decoder')


@dataclass(frozen=True)
class Start:
    """Where the weights come from that a training starts from; see :class:`Training`."""

    checkpoint: str | None = None
    rename: Mapping[str, str] | None = None


class Training(nn.Module):
    """Losses and their weights, adversarial training, and the frozen parts.

    Args:
        losses: Configs of reconstruction losses by their names in the log, each with a ``weight``
            (1 by default): a number or a schedule. ``reconstruction`` is the L1 loss unless given;
            None, or a ``type`` of None, removes a loss.
        quantizer_losses: Weights of the quantizer's losses by name: numbers or schedules; None
            removes a loss. The defaults are 0.1 for ``entropy``, 0.25 for ``commitment`` and 1 for
            all others.
        adversarial: Config of the adversarial losses and the discriminator; None disables both.
        freeze: Which of encoder, quantizer and decoder to freeze. They stay in eval mode, so a
            frozen quantizer emits no losses.
        start: ``dict(checkpoint=…, rename={…})``: initial weights, from the checkpoint of a model
            that may also have other parts; ``rename`` maps prefixes of its names to prefixes of
            this model's. None, or a ``checkpoint`` of None, keeps the random weights.

    Raises:
        UserError: ``freeze`` names a part that cannot be frozen; a part of the loss slot is used
            in the wrong place; an adaptive weight has no loss to compare with.
    """

    slots = dict(
        losses=Slot(LOSSES, beside=dict(weight=LOSSES)),
        quantizer_losses=LOSSES,
        adversarial=LOSSES,
        start=Start,
    )

    def __init__(
        self,
        *,
        losses: Mapping[str, dict | None] | None = None,
        quantizer_losses: Mapping[str, float | dict | None] | None = None,
        adversarial: dict | None = None,
        freeze: Sequence[str] = (),
        start: dict | None = None,
    ) -> None:
        super().__init__()
        self.start = Start(**(start or {}))
        self.losses, self.weights = nn.ModuleDict(), {}
        for name, config in (DEFAULT_LOSSES | dict(losses or {})).items():
            if config is None or config.get('type', '') is None:
                continue
            config = dict(config)
            weight = config.pop('weight', 1.0)
            self.losses[name] = _loss(f'training.losses.{name}', config)
            self.weights[name] = build_weight(weight, f'training.losses.{name}.weight')
        given: dict[str, Any] = DEFAULT_QUANTIZER_WEIGHTS | dict(quantizer_losses or {})
        self.quantizer_weights = {
            name: build_weight(0.0 if value is None else value, f'training.quantizer_losses.{name}')
            for name, value in given.items()
        }
        # Losses that the quantizer must emit; a default weight may stay unused.
        self.wanted = {
            name
            for name, value in given.items()
            if value not in (None, DEFAULT_QUANTIZER_WEIGHTS.get(name))
        }
        self.adversarial = self._game(adversarial) if adversarial else None
        self.freeze = tuple(freeze)
        wrong = [name for name in self.freeze if name not in FREEZABLE]
        if wrong:
            raise UserError(f'training.freeze may name {", ".join(FREEZABLE)}, got {wrong[0]!r}.')

    def _game(self, config: dict) -> Adversarial:
        game = LOSSES.build(config)
        check_call('training.adversarial', game, 'build_parts')
        if game.adaptive and game.discriminator is not None and not self.losses:
            raise UserError(
                'training.adversarial.weight: AdaptiveWeight needs a reconstruction loss, '
                'but all are removed; set a number.'
            )
        return game

    def load_weights(self) -> None:
        """Load weights that losses need only in training; called before the first image is read."""
        for loss in self.losses.values():
            if isinstance(loss, LoadsWeights):
                loss.load_weights()

    def reconstruction_terms(
        self, image: Tensor, out: Tensor, pixels: Pixels, iteration: int
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the weighted reconstruction losses, and the unweighted ones by name.

        Args:
            image: (B, 3, *size) in [-1, 1].
            out: The decoder's output (B, ``pixels.channels``, *size).
            pixels: The tokenizer's pixel range.
            iteration: Number of finished iterations.
        """
        with without_autocast(image.device):
            out = out.float()
            losses: dict[str, Tensor] = {}
            # Computed only if a loss needs it: it may take a whole network.
            target: Tensor | None = None
            fake: Tensor | None = None
            for name, loss in self.losses.items():
                if isinstance(loss, ReconstructionLoss):
                    target = pixels.target(image) if target is None else target
                    losses[name] = loss(out, target)
                else:
                    fake = pixels.to_image(out) if fake is None else fake
                    losses[name] = loss(fake, image)
        return [self.weights[name](iteration) * value for name, value in losses.items()], losses

    def quantizer_terms(
        self, quantizer: nn.Module, out: QuantizerOutput, iteration: int
    ) -> list[Tensor]:
        """Return the quantizer's losses, weighted.

        Raises:
            UserError: A weight is given for a loss that the quantizer does not emit.
        """
        missing = sorted(self.wanted - set(out.losses)) if quantizer.training else ()
        if missing:
            raise UserError(
                f'model.training.quantizer_losses.{missing[0]}: {type(quantizer).__name__} emits '
                f'no such loss (it has: {", ".join(out.losses) or "none"}); remove the key.'
            )
        weights = {
            name: self.quantizer_weights[name](iteration) if name in self.quantizer_weights else 1.0
            for name in out.losses
        }
        return [weights[name] * value for name, value in out.losses.items()]


def _loss(key: str, config: dict) -> nn.Module:
    """Build a reconstruction loss."""
    loss = LOSSES.build(config)
    if isinstance(loss, PerIteration):
        # It would take images for logits.
        raise UserError(
            f'{key}: {type(loss).__name__} is a penalty of a discriminator; it belongs under '
            f'training.adversarial.regularizers.'
        )
    check_call(key, loss, 'forward', 'reconstruction', 'image')
    return loss
