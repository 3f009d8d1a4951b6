"""Fixtures and settings that all tests share."""

import pytest


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory):
    """Keep moments of reference sets away from the user's cache, in child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('OPENMAGVIT2_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield
