"""File lists stored in arrays."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from openmagvit2.datasets.packed import PackedSamples

PAIRS = [
    (Path('/a/ü/n01/0.png'), 3),
    (Path(os.fsdecode(b'/a/\xff.png')), -1),
    (Path('/b/with space.jpg'), 2**40),
]


def test_reads_like_the_list():
    packed = PackedSamples(PAIRS)
    assert list(packed) == PAIRS and len(packed) == 3 and packed[-1] == PAIRS[-1]
    assert packed[1:] == PAIRS[1:] and list(pickle.loads(pickle.dumps(packed))) == PAIRS
    with pytest.raises(IndexError):
        packed[3]
    assert len(PackedSamples([])) == 0 and packed.labels.dtype == np.int64


def test_a_path_takes_its_bytes_and_two_numbers():
    packed = PackedSamples((Path(f'/data/train/n{i:08d}/image.JPEG'), i) for i in range(1000))
    size = sum(a.nbytes for a in (packed.names, packed.ends, packed.labels))
    assert size == 1000 * (len('/data/train/n00000000/image.JPEG') + 16)
