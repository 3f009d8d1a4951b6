"""The classifier loss reads its weights and compares logits or features."""

import pytest
import torch
import torchvision
from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.models.losses import ClassifierLoss


class Small(nn.Module):
    """Mean colors, and two logits of them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize('of', ['logits', 'features'])
def test_logits_or_what_a_linear_layer_makes_them_from(of, tmp_path, monkeypatch):
    torch.manual_seed(0)
    saved = Small()
    torch.save(saved.state_dict(), tmp_path / 'weights.pth')
    monkeypatch.setattr(torchvision.models, 'get_model', lambda name, weights: Small())
    loss = ClassifierLoss(model='resnet50', weights=str(tmp_path / 'weights.pth'), of=of)
    loss.load_weights()
    image, other = torch.rand(2, 2, 3, 224, 224) * 2 - 1
    std = torch.tensor((0.229, 0.224, 0.225))
    difference = (image - other).mean((2, 3)) / 2 / std
    if of == 'logits':
        difference = difference @ saved.fc.weight.T
    torch.testing.assert_close(loss(other, image), difference.square().mean())
    assert not loss.state_dict() and not list(loss.parameters())


def test_features_are_of_resnet50():
    with pytest.raises(UserError, match="needs model='resnet50'"):
        ClassifierLoss(of='features')
