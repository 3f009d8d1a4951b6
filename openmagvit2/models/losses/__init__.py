"""The loss slot; entropy and commitment live with their quantizer."""

from openmagvit2.models.losses.adversarial import AdversarialLoss
from openmagvit2.models.losses.lecam import LeCAM
from openmagvit2.models.losses.perceptual import LPIPSLoss
from openmagvit2.models.losses.pixel import L1Loss, L2Loss

__all__ = ['AdversarialLoss', 'L1Loss', 'L2Loss', 'LPIPSLoss', 'LeCAM']
