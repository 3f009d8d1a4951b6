"""The discriminator slot: map images to logits."""

from openmagvit2.models.discriminators.base import BaseDiscriminator
from openmagvit2.models.discriminators.blur_patchgan import BlurPatchGAN
from openmagvit2.models.discriminators.patchgan import PatchGAN
from openmagvit2.models.discriminators.stylegan import StyleGAN
from openmagvit2.models.discriminators.stylegan2 import StyleGAN2

__all__ = ['BaseDiscriminator', 'BlurPatchGAN', 'PatchGAN', 'StyleGAN', 'StyleGAN2']
