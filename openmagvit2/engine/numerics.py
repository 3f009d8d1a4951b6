"""Settings of float32 arithmetic and of randomness."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log

from openmagvit2.errors import UserError, check_choice

PRECISIONS = ('highest', 'high', 'medium')


def set_numerics(config: Mapping[str, Any]) -> dict[str, Any]:
    """Set ``env_cfg.float32_matmul_precision``; return ``randomness`` with the seed.

    Args:
        config: The config, whose top-level ``seed`` is an alias of ``randomness.seed``.

    Raises:
        UserError: The precision is unknown, or the two seeds differ.
    """
    wanted = (config.get('env_cfg') or {}).get('float32_matmul_precision')
    if wanted is not None:
        check_choice('env_cfg.float32_matmul_precision', wanted, PRECISIONS)
        torch.set_float32_matmul_precision(wanted)
    randomness, seed = dict(config.get('randomness') or {}), seed_of(config)
    deterministic = bool(randomness.get('deterministic'))
    if deterministic:
        # cuBLAS reads this at its first product. Without it sums may differ between runs, and some
        # versions of torch raise an error.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    matmul = torch.get_float32_matmul_precision()
    print_log(f'deterministic={deterministic}, float32_matmul_precision={matmul}', 'current')
    return randomness | dict(seed=seed)


def seed_of(config: Mapping[str, Any]) -> int:
    """Return the seed of a config: its top-level ``seed``, or ``randomness.seed``, or 0.

    Raises:
        UserError: The two differ.
    """
    given = (config.get('randomness') or {}).get('seed')
    # For None, mmengine would draw a seed.
    seed = config.get('seed', given or 0)
    if given not in (None, seed):
        raise UserError(f'randomness.seed={given} and seed={seed}: remove randomness.seed.')
    return seed
