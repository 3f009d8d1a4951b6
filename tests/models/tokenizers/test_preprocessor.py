"""From batches to the input of the models."""

import pytest
import torch

from openmagvit2.models.tokenizers import ImagePreprocessor


class Watched(torch.Tensor):
    """A tensor that records how it is copied to a device."""

    copies: list[bool] = []

    def to(self, *args, non_blocking=False, **kwargs):
        """Record whether the copy waits for the device."""
        self.copies.append(non_blocking)
        return torch.Tensor(self)


@pytest.mark.parametrize('cuda', [True, False])
def test_copies_wait_for_the_device_only_without_cuda(monkeypatch, cuda):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(Watched, 'copies', [])
    batch = {name: torch.zeros(2).as_subclass(Watched) for name in ('label', 'uniform')}
    ImagePreprocessor()(batch)
    assert Watched.copies == [cuda] * 2


def test_images_are_mapped_to_minus_one_to_one():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1)
    out = ImagePreprocessor()({'image': image})['image']
    assert out.flatten().tolist() == pytest.approx([-1.0, -0.6, 1.0])
