"""The discriminator slot: image to patch logits."""

from openmagvit2.models.discriminators.base import BaseDiscriminator
from openmagvit2.models.discriminators.blur_patchgan import BlurPatchGAN
from openmagvit2.models.discriminators.patchgan import PatchGAN

__all__ = ['BaseDiscriminator', 'BlurPatchGAN', 'PatchGAN']
