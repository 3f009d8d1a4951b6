"""Freed memory is kept for the next tensor where glibc allows it."""

import os
import platform
import subprocess
import sys

import pytest

# Page faults of ten tensors of 64 MB, one after the other, once small objects have settled between
# their places, and pages that are given back at last.
COUNT = """
import resource, openmagvit2, torch
from openmagvit2.memory import give_back
for _ in range(20):
    torch.ones(2**24)
faults = -resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)
faults += resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def resident():
    return int(open('/proc/self/statm').read().split()[1])
before = resident()
give_back()
print(faults, before - resident())
"""
PAGES = 2**26 // os.sysconf('SC_PAGE_SIZE') if os.name == 'posix' else 0


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs glibc')
@pytest.mark.parametrize('own', [{}, {'MALLOC_TRIM_THRESHOLD_': '131072'}], ids=['kept', 'own'])
def test_tensors_use_memory_again(own):
    names = ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'GLIBC_TUNABLES')
    env = {k: v for k, v in os.environ.items() if k not in names and 'THP' not in k} | own
    done = subprocess.run(
        [sys.executable, '-c', COUNT], env=env, capture_output=True, text=True, check=True
    )
    faults, given_back = map(int, done.stdout.split())
    if own:
        # What the user set stays: each tensor is asked of the system.
        assert faults > 9 * PAGES
    else:
        assert faults < PAGES / 2
        assert given_back > 0.9 * PAGES
