"""The classifier loss with a ResNet-50 whose weights follow the formula."""

import pytest
import torchvision
from appendix import fill, sine

from openmagvit2.models.losses import ClassifierLoss


@pytest.mark.slow
def test_logits_of_resnet50():
    real, fake = sine(2, 3, 64, 64, step=0.013), sine(2, 3, 64, 64, step=0.011, shift=0.5)
    loss = ClassifierLoss(model='resnet50')
    loss.use(fill(torchvision.models.resnet50(weights=None)))
    assert loss(fake, real).item() == pytest.approx(83.3317, rel=1e-3)
