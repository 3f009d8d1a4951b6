"""How exactly float32 is computed: the knobs of a config."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log

from openmagvit2.errors import UserError

PRECISIONS = ('highest', 'high', 'medium')


def set_numerics(config: Mapping[str, Any]) -> dict[str, Any]:
    """Set ``env_cfg.float32_matmul_precision``; give what ``randomness`` hands to the Runner.

    Args:
        config: Its ``seed`` at the top level stands for ``randomness.seed``.

    Returns:
        ``randomness`` with the seed.

    Raises:
        UserError: Another word for the precision; two different seeds.
    """
    wanted = (config.get('env_cfg') or {}).get('float32_matmul_precision')
    if wanted is not None:
        if wanted not in PRECISIONS:
            names = ', '.join(PRECISIONS)
            raise UserError(
                f'env_cfg.float32_matmul_precision must be one of {names}, got {wanted!r}.'
            )
        torch.set_float32_matmul_precision(wanted)
    randomness = dict(config.get('randomness') or {})
    seed = config.get('seed', randomness.get('seed') or 0)
    # mmengine's None draws one; ours is always known.
    if randomness.get('seed') not in (None, seed):
        raise UserError(f'randomness.seed={randomness["seed"]} and seed={seed}: remove the first.')
    deterministic = bool(randomness.get('deterministic'))
    if deterministic:
        # cuBLAS reads it at its first product: without it sums may differ from run to run, and
        # some torches refuse them.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    matmul = torch.get_float32_matmul_precision()
    print_log(f'deterministic={deterministic}, float32_matmul_precision={matmul}', 'current')
    return randomness | dict(seed=seed)
