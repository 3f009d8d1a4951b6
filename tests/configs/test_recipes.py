"""Settings of published recipes that parameter counts do not reveal."""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.registry import OPTIM_WRAPPER_CONSTRUCTORS


@pytest.mark.parametrize(
    ('name', 'published'),
    [
        # L2 of pixels in [0, 1].
        ('maskgit/vq_256', 1.0),
        ('magvit2/lfq_128', 1.0),
        ('vit_vqgan/base', 1.0),
        ('titok/s128', 1.0),
        ('titok/bl64_vq8k', 1.0),
        # 4 times L1 of pixels in [-0.5, 0.5].
        ('omni_tokenizer/vq_256', 4.0),
        # L2 and L1 of pixels in [-1, 1].
        ('llamagen/vq_16', 4.0),
        ('rq/rq_vae_256', 4.0),
        ('vqgan/vqgan_256_1024', 2.0),
        ('bsq/vit_18_256', 2.0),
    ],
)
def test_white_for_black_costs_the_official_reconstruction_loss(name, published):
    model = init_model(name, device='meta')
    white = torch.ones(1, 3, 4, 4)
    pair = model.pixels.target(-white), model.pixels.target(white)
    loss = model.recipe.losses['reconstruction'](*pair) * model.recipe.weights['reconstruction'](0)
    assert loss.item() == pytest.approx(published)


def without_decay(name: str, role: str) -> set[str]:
    """Tensors of two axes and more that an optimizer does not decay."""
    settings = load_config(config_path(name)).optim_wrapper.to_dict()
    model = init_model(name, device='meta')
    constructor = dict(type=settings.pop('constructor'), optim_wrapper_cfg=settings)
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)[role]
    free = [
        id(parameter)
        for group in wrapper.optimizer.param_groups
        if not group['weight_decay']
        for parameter in group['params']
    ]
    return {n for n, p in model.named_parameters() if id(p) in free and p.dim() > 1}


@pytest.mark.parametrize(
    ('name', 'role', 'free'),
    [
        (
            'var/ar_d16_256',
            'transformer',
            {'backbone.start', 'backbone.position_embedding', 'backbone.level_embedding.weight'},
        ),
        (
            'rar/rar_b',
            'transformer',
            {
                'backbone.position_embedding.weight',
                'backbone.target_embedding.weight',
                'backbone.step_embedding.weight',
                'backbone.modulation.weight',
                'head.embeddings.0.weight',
                'class_embedding.weight',
            },
        ),
        (
            'vqgan/ar_1400m_256',
            'transformer',
            {'backbone.position_embedding.weight', 'head.embeddings.0.weight'},
        ),
        ('llamagen/ar_b_256', 'transformer', set()),
    ],
)
def test_only_these_matrices_are_not_decayed(name, role, free):
    assert without_decay(name, role) == free


@pytest.mark.parametrize(
    'name',
    [
        'omni_tokenizer/vq_256',
        'vit_vqgan/base',
        'vqgan/vqgan_256_1024',
        'sd_vq/vq_f8_256',
        'llamagen/vq_16',
        'rq/rq_vae_256',
        'rar/rar_b',
        'llamagen/ar_b_256',
        'var/ar_d16_256',
    ],
)
def test_no_average_of_weights_where_the_recipe_has_none(name):
    hooks = [hook.type for hook in load_config(config_path(name)).custom_hooks]
    assert hooks and 'SubmoduleEMAHook' not in hooks
