"""The loss slot; entropy and commitment losses are part of the quantizer."""

from openmagvit2.models.losses.adaptive_weight import AdaptiveWeight
from openmagvit2.models.losses.adversarial import Adversarial
from openmagvit2.models.losses.adversarial_losses import AdversarialLoss
from openmagvit2.models.losses.calls import check_call
from openmagvit2.models.losses.classifier import ClassifierLoss
from openmagvit2.models.losses.codes import CodeCrossEntropy
from openmagvit2.models.losses.lecam import LeCAM
from openmagvit2.models.losses.perceptual import LPIPSLoss
from openmagvit2.models.losses.pixel import (
    ImageL2Loss,
    L1Loss,
    L2Loss,
    LogitLaplaceLoss,
    ReconstructionLoss,
)
from openmagvit2.models.losses.r1 import R1
from openmagvit2.models.losses.weights import LinearWeight, LossWeight, build_weight

__all__ = [
    'R1',
    'AdaptiveWeight',
    'Adversarial',
    'AdversarialLoss',
    'ClassifierLoss',
    'CodeCrossEntropy',
    'ImageL2Loss',
    'L1Loss',
    'L2Loss',
    'LPIPSLoss',
    'LeCAM',
    'LinearWeight',
    'LogitLaplaceLoss',
    'LossWeight',
    'ReconstructionLoss',
    'build_weight',
    'check_call',
]
