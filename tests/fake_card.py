"""Says whether torch can imitate a CUDA device on this machine."""

import pytest
import torch

# A torch for CUDA that is older than this function looks for the card even in its fake mode.
_imitates = torch.version.cuda is None or hasattr(torch._C, '_ensureCUDADeviceGuardSet')
fake_card = pytest.mark.skipif(
    not (_imitates or torch.cuda.is_available()),
    reason='this torch imitates a card where there is one, or where it is a build for the CPU',
)
