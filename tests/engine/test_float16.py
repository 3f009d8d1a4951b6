"""float16 as far as a CPU can test it: a gradient scaler per role, and half precision."""

import math

import pytest
import torch
from torch import nn

from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper, RoleOptimWrappers
from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm


def roles(clip_grad: dict | None = None) -> tuple[RoleOptimWrappers, dict[str, nn.Linear]]:
    """Return two roles with one weight each, 1.0, and the gradient scaler of float16 on a GPU."""
    layers = {name: nn.Linear(1, 1, bias=False) for name in ('autoencoder', 'discriminator')}
    wrappers = {}
    for name, layer in layers.items():
        nn.init.ones_(layer.weight)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.25)
        wrappers[name] = AutocastOptimWrapper(optimizer, clip_grad=clip_grad, role=name)
        wrappers[name].scaler = torch.amp.GradScaler('cpu', init_scale=1024.0, growth_interval=2)
    return RoleOptimWrappers(**wrappers), layers


def step(wrappers: RoleOptimWrappers, layers: dict[str, nn.Linear], **gradients: float) -> None:
    for name, gradient in gradients.items():
        wrappers[name].update_params(layers[name].weight.sum() * gradient)


def scales(wrappers: RoleOptimWrappers) -> list[float]:
    return [wrapper.scaler.get_scale() for wrapper in wrappers.values()]


@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=100.0)])
def test_a_non_finite_role_skips_its_own_step_alone(clip_grad):
    wrappers, layers = roles(clip_grad)
    step(wrappers, layers, autoencoder=1.0, discriminator=math.inf)
    assert layers['autoencoder'].weight.item() == 1.0 - 0.25
    assert layers['discriminator'].weight.item() == 1.0
    assert scales(wrappers) == [1024.0, 512.0]
    # The next step works again; two finite steps raise the scale.
    step(wrappers, layers, autoencoder=1.0, discriminator=2.0)
    assert layers['autoencoder'].weight.item() == 1.0 - 0.5
    assert layers['discriminator'].weight.item() == 1.0 - 0.5
    assert scales(wrappers) == [2048.0, 512.0]


def test_clipping_sees_the_gradient_without_its_scale():
    wrappers, layers = roles(dict(max_norm=0.5))
    step(wrappers, layers, autoencoder=4.0)
    assert layers['autoencoder'].weight.item() == pytest.approx(1.0 - 0.25 * 0.5, rel=1e-5)


def test_scales_are_saved_and_resumed():
    wrappers, layers = roles()
    step(wrappers, layers, autoencoder=1.0, discriminator=math.inf)
    again, layers = roles()
    again.load_state_dict(wrappers.state_dict())
    assert scales(again) == [1024.0, 512.0]
    # The count of finite steps is resumed too.
    step(again, layers, autoencoder=1.0, discriminator=1.0)
    assert scales(again) == [2048.0, 512.0]


def test_adaptive_norm_in_half_precision():
    """Channels of codes with a tiny variance, and with none, give the results of float32."""
    torch.manual_seed(0)
    layer = AdaptiveGroupNorm(32, 4).half()
    exact = AdaptiveGroupNorm(32, 4)
    exact.load_state_dict({name: value.float() for name, value in layer.state_dict().items()})
    x = torch.randn(2, 32, 4, 4).half()
    codes = torch.stack([torch.zeros(2, 16), *torch.randn(3, 2, 16)], 1).unflatten(2, (4, 4))
    codes[:, 1] *= 1e-3
    codes = codes.half()
    gradients = []
    for module, kind in ((layer, torch.float16), (exact, torch.float32)):
        inputs = codes.to(kind, copy=True).requires_grad_()
        out = module(x.to(kind), inputs)
        out.float().square().mean().backward()
        gradients.append(inputs.grad.float())
        if kind is torch.float16:
            found = out.float()
    torch.testing.assert_close(found, out, atol=5e-3, rtol=5e-3)
    assert gradients[0].isfinite().all()
    torch.testing.assert_close(*gradients, atol=2e-3, rtol=0.05)
