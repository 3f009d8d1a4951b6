"""LeCAM's averages of a batch that comes in parts."""

import torch
from torch.testing import assert_close

from openmagvit2.models.losses import LeCAM


def test_parts_of_a_batch_see_the_averages_of_the_whole():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(6, 1, 2, 2, generator=generator) for _ in range(2))
    whole, parts = LeCAM(decay=0.5).train(), LeCAM(decay=0.5).train()
    expected = whole(real, fake)
    parts.begin_step(real, fake, 2)
    values = [parts(*pair) for pair in zip(real.chunk(2), fake.chunk(2), strict=True)]
    assert_close(sum(values) / 2, expected)
    assert_close(parts.state_dict(), whole.state_dict())
    assert_close(whole.real_average, 0.5 * real.mean())
    # The next batch is one again.
    assert_close(parts(fake, real), whole(fake, real))
