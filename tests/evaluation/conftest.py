"""Fixtures that the tests of feature networks share."""

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


@pytest.fixture(scope='module')
def inception(tmp_path_factory):
    """A file with random Inception weights."""
    path = tmp_path_factory.mktemp('weights') / 'random.pth'
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # The constructor fails to read a file, after it has built the network.
        patch.setattr(torch, 'load', lambda *args, **kwargs: None)
        patch.setattr(FeatureExtractorInceptionV3, 'load_state_dict', lambda self, state: None)
        network = FeatureExtractorInceptionV3('inception-v3-compat', ['2048'], str(path))
    torch.save(network.state_dict(), path)
    return path
