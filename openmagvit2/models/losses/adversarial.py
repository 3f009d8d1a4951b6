"""Adversarial training of stage I: losses, weights, start, and which side steps first."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.losses.adaptive_weight import AdaptiveWeight
from openmagvit2.models.losses.adversarial_losses import AdversarialLoss
from openmagvit2.models.losses.calls import check_call
from openmagvit2.models.losses.weights import build_weight
from openmagvit2.protocols import FeatureLayers
from openmagvit2.registry import DISCRIMINATORS, LOSSES, Slot
from openmagvit2.signatures import accepted

KEY = 'training.adversarial'
# Arguments of every regularizer, and those passed by name to regularizers that accept them.
LOGITS = ('real', 'fake')
GIVEN = ('discriminator', 'image', 'iteration')


@LOSSES.register_module()
class Adversarial(nn.Module):
    """Compute the adversarial losses of both sides.

    The discriminator and the regularizers belong to the model (:meth:`build_parts`), which passes
    them to each call, with or without data-parallel wrappers.

    Args:
        discriminator: Config; None disables adversarial training.
        generator_loss, discriminator_loss: Names of :mod:`adversarial_losses`, or configs of parts
            with a method of that name.
        weight: Weight of the generator's loss: a number, a schedule, or ``AdaptiveWeight``.
        discriminator_weight: Weight of the discriminator's loss without regularizers.
        features: Weight of the feature matching loss; it requires a discriminator with
            ``features(image) -> list of tensors``.
        start: Iteration at which adversarial training starts.
        first: Side that steps first on a reconstruction: 'generator' or 'discriminator'.
        regularizers: Configs of penalties of the discriminator, each with a ``weight`` and,
            optionally, a ``name`` for logs and checkpoints (by default from its class):
            ``regularizer(real, fake, discriminator=, image=, iteration=) -> scalar``, or None in
            iterations without a penalty. Keyword arguments that it does not accept are not passed.
            A ``type`` of None removes an inherited regularizer.
    """

    slots = dict(
        discriminator=DISCRIMINATORS,
        generator_loss=LOSSES,
        discriminator_loss=LOSSES,
        weight=LOSSES,
        discriminator_weight=LOSSES,
        regularizers=Slot(LOSSES, beside=dict(weight=LOSSES, name=None)),
    )

    def __init__(
        self,
        *,
        discriminator: dict | None,
        generator_loss: str | dict = 'non_saturating',
        discriminator_loss: str | dict = 'hinge',
        weight: float | dict = 0.1,
        discriminator_weight: float | dict = 1.0,
        features: float = 0.0,
        start: int = 0,
        first: str = 'generator',
        regularizers: Sequence[dict] = (),
    ) -> None:
        super().__init__()
        check_choice(f'{KEY}.first', first, ('generator', 'discriminator'))
        self.discriminator = discriminator
        self.regularizers = _named(regularizers)
        self.generator_loss = _loss('generator', generator_loss, 'fake')
        self.discriminator_loss = _loss('discriminator', discriminator_loss, 'real', 'fake')
        adaptive = isinstance(weight, dict) and LOSSES.build(weight)
        self.adaptive = adaptive if isinstance(adaptive, AdaptiveWeight) else None
        self.weight = build_weight(0.0 if self.adaptive else weight, f'{KEY}.weight')
        self.discriminator_weight = build_weight(
            discriminator_weight, f'{KEY}.discriminator_weight'
        )
        self.regularizer_weights = {
            name: build_weight(config.get('weight', 1.0), f'{KEY}.regularizers.{name}.weight')
            for name, config in self.regularizers.items()
        }
        self.features, self.start, self.first = features, start, first

    def build_parts(self) -> dict[str, nn.Module]:
        """Build the ``discriminator`` and the regularizers; return them by their names for logs and
        checkpoints.
        """
        if self.discriminator is None:
            return {}
        parts: dict[str, nn.Module] = dict(discriminator=DISCRIMINATORS.build(self.discriminator))
        for name, config in self.regularizers.items():
            own = {key: value for key, value in config.items() if key not in ('weight', 'name')}
            parts[name] = LOSSES.build(own)
            check_call(f'{KEY}.regularizers.{name}', parts[name], 'forward', *LOGITS, maybe=GIVEN)
        return parts

    def is_active(self, iteration: int) -> bool:
        """Return whether adversarial training is on after ``iteration`` finished iterations."""
        return self.discriminator is not None and iteration >= self.start

    def generator_terms(
        self,
        discriminator: nn.Module,
        image: Tensor,
        fake: Tensor,
        reconstruction: Tensor,
        last_layer: Tensor | None,
        iteration: int,
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Return the adversarial terms of the autoencoder's loss; the discriminator's parameters
        get no gradients.

        Args:
            discriminator: The discriminator itself, not its data-parallel wrapper.
            image, fake: Images and their reconstructions (B, 3, *size).
            reconstruction: Sum of the weighted reconstruction losses, a scalar.
            last_layer: The decoder's last layer; only an adaptive weight needs it.
            iteration: Number of finished iterations.

        Returns:
            The weighted sum, and by name the unweighted losses and the statistics.
        """
        with passing_only(discriminator):
            losses = dict(adversarial=self.generator_loss(discriminator(fake).float()))
            if self.features:
                losses['features'] = self._distance(discriminator, image, fake)
        weight: float | Tensor = self.weight(iteration)
        stats: dict[str, Tensor] = {}
        if self.adaptive is not None:
            weight = self.adaptive(reconstruction, losses['adversarial'], last_layer)
            stats['adversarial_weight'] = weight
        total = weight * losses['adversarial']
        if self.features:
            total = total + self.features * losses['features']
        return total, losses, stats

    def discriminator_terms(
        self,
        discriminator: nn.Module,
        regularizers: Mapping[str, nn.Module],
        image: Tensor,
        fake: Tensor,
        iteration: int,
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Return the discriminator's weighted loss, and by name its unweighted parts and the
        statistics.

        Args:
            discriminator: The discriminator, or its data-parallel wrapper.
            regularizers: Regularizers by name, from :meth:`build_parts`.
            image, fake: Images (B, 3, H, W) in [-1, 1] and their reconstructions, which are
                detached here.
            iteration: Number of finished iterations.
        """
        fake = fake.detach()
        real_logits, fake_logits = discriminator(image).float(), discriminator(fake).float()
        losses = dict(disc_adversarial=self.discriminator_loss(real_logits, fake_logits))
        total = self.discriminator_weight(iteration) * losses['disc_adversarial']
        stats = dict(logits_real=real_logits.mean(), logits_fake=fake_logits.mean())
        given = dict(discriminator=discriminator, image=image, iteration=iteration)
        for name, part in regularizers.items():
            known = accepted(part.forward) & given.keys()
            penalty = part(real_logits, fake_logits, **{key: given[key] for key in known})
            if penalty is not None:
                losses[name] = penalty
                total = total + self.regularizer_weights[name](iteration) * penalty
            stats |= {f'{name}_{key}': value.clone() for key, value in part.named_buffers()}
        return total, losses, stats

    @staticmethod
    def _distance(discriminator: nn.Module, image: Tensor, fake: Tensor) -> Tensor:
        """Return the feature matching loss: mean absolute differences, summed over the
        discriminator's layers (pix2pixHD).
        """
        if not isinstance(discriminator, FeatureLayers):
            raise UserError(
                f'{KEY}.features: {type(discriminator).__name__} has no method `features(image)`; '
                f'set it to 0.'
            )
        with torch.no_grad():
            targets = discriminator.features(image)
        pairs = zip(discriminator.features(fake), targets, strict=True)
        return torch.stack([(a.float() - b.float()).abs().mean() for a, b in pairs]).sum()


@contextmanager
def passing_only(module: nn.Module) -> Iterator[None]:
    """Let gradients flow through a module but not into its parameters; frozen ones stay frozen."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def _named(regularizers: Sequence[dict]) -> dict[str, dict]:
    """Return the configs of regularizers by name, by default the class name in lower case; repeated
    names are numbered.
    """
    named: dict[str, dict] = {}
    for config in regularizers:
        if 'type' not in config:
            raise UserError(f'{KEY}.regularizers: a part has no `type`: {config!r}.')
        kind = config['type']
        # As everywhere, a `type` of None removes an inherited part.
        if kind is None:
            continue
        kind = kind if isinstance(kind, str) else kind.__name__
        name = config.get('name') or kind.rpartition('.')[2].lower()
        if not isinstance(name, str) or not name.isidentifier() or name == 'discriminator':
            raise UserError(f'{KEY}.regularizers: {name!r} cannot be the name of a regularizer.')
        number = sum(re.fullmatch(rf'{name}(_\d+)?', other) is not None for other in named) + 1
        named[name if number == 1 else f'{name}_{number}'] = config
    return named


def _loss(side: str, value: str | dict, *logits: str) -> Callable[..., Tensor]:
    """Return the loss function of a side, from a config or a name of :mod:`adversarial_losses`."""
    part = AdversarialLoss(**{side: value}) if isinstance(value, str) else LOSSES.build(value)
    method = f'{side}_loss'
    check_call(f'{KEY}.{method}', part, method, *logits)
    return getattr(part, method)
