"""A replaced part is seen by training, validation and data parallelism."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from openmagvit2.apis import init_model
from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper, RoleOptimWrappers
from openmagvit2.engine.parallel import RoleDDP
from openmagvit2.models.heads import SeparateHead
from openmagvit2.registry import HEADS, MODELS


class Gray(nn.Module):
    """Decoder of one number: all of the image has its value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.last = nn.Identity()

    def forward(self, codes):
        height, width = codes.shape[2] * 4, codes.shape[3] * 4
        return self.last(self.value.expand(len(codes), 3, height, width))


def tokenizer() -> nn.Module:
    torch.manual_seed(0)
    part = dict(channels=32, channel_multipliers=(1, 1, 1), num_res_blocks=1)
    return MODELS.build(
        dict(
            type='VisualTokenizer',
            encoder=dict(type='CnnEncoder', **part),
            quantizer=dict(type='LFQ', num_bits=4),
            decoder=dict(type='CnnDecoder', **part),
        )
    )


def optimizers(model: nn.Module) -> RoleOptimWrappers:
    return RoleOptimWrappers(
        **{
            name: AutocastOptimWrapper(torch.optim.SGD(role.parameters(), lr=1.0))
            for name, role in model.roles().items()
        }
    )


def images() -> dict:
    return dict(image=torch.full((2, 3, 8, 8), 255, dtype=torch.uint8))


def test_a_new_decoder_trains_and_validates():
    model = tokenizer()
    names = list(model.state_dict())
    assert not [name for name in names if name.startswith('autoencoder')]
    model.decoder = Gray(0.25)
    assert model.val_step(images())[0]['reconstruction'].unique().tolist() == [0.25]
    log = model.train().train_step(images(), optimizers(model))
    # The image is 1 everywhere; one step of 1 along the gradient -1 of the L1 loss follows.
    assert log['reconstruction'].item() == 0.75 and model.decoder.value.item() == 1.25


def test_a_new_head_trains_and_validates():
    model = init_model('configs/tiny/ar_32.py')
    assert not [name for name in model.state_dict() if name.startswith('transformer')]
    torch.manual_seed(1)
    head = SeparateHead(vocab_sizes=model.head.vocab_sizes, dim=model.backbone.dim)
    for classifier in head.classifiers:
        nn.init.normal_(classifier.weight)
    model.head = head
    indices = (
        torch.arange(model.num_tokens).view(1, *model.grid)
        % model.tokenizer.quantizer.codebook_size
    )
    data = dict(indices=indices, label=torch.tensor([1]))
    sub = model.factorization.split(indices.flatten(1))
    x = torch.cat([model.class_embedding(torch.tensor([[1]])), head.embed(sub)[:, :-1]], 1)
    expected = head.losses_per_token(model.backbone(x), sub).sum()
    torch.testing.assert_close(model.eval().val_step(data)[0]['nll'][0], expected)
    before = head.classifiers[0].weight.clone()
    model.train().train_step(data, optimizers(model))
    assert not head.classifiers[0].weight.equal(before)


def test_dropout_follows_the_mode():
    model = init_model(
        'configs/tiny/ar_32.py',
        cfg_options={'model.backbone.dropout': 0.0, 'model.token_dropout': 0.5},
    )
    sub, labels = (
        torch.zeros(1, model.num_tokens, len(model.head.vocab_sizes), dtype=torch.int64),
        torch.tensor([0]),
    )
    twice = [model.context(sub, labels) for _ in range(2)]
    assert twice[0].equal(twice[1])
    model.train()
    twice = [model.context(sub, labels) for _ in range(2)]
    assert not twice[0].equal(twice[1])


def test_test_step_is_the_val_step_of_a_subclass(monkeypatch):
    for model in (tokenizer(), init_model('configs/tiny/ar_32.py')):
        changed = type('Changed', (type(model),), dict(val_step=lambda self, data: [dict(mine=1)]))
        model.__class__ = changed
        assert model.test_step({}) == [dict(mine=1)]


class PlainHead(SeparateHead):
    """No argument has a default."""

    def __init__(self, vocab_sizes, dim):
        super().__init__(vocab_sizes=vocab_sizes, dim=dim)


def test_a_head_without_defaults_builds():
    assert PlainHead.__init__.__kwdefaults__ is None
    HEADS.register_module(module=PlainHead, force=True)
    try:
        model = init_model(
            'configs/tiny/ar_32.py',
            cfg_options={'model.head': dict(_delete_=True, type='PlainHead')},
        )
    finally:
        HEADS.module_dict.pop('PlainHead')
    assert isinstance(model.head, PlainHead)


@pytest.fixture
def group(tmp_path):
    """A process group of one."""
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_data_parallelism_wraps_the_new_part(group):
    model = tokenizer().train()
    names = list(model.state_dict())
    wrapper = RoleDDP(model)
    assert list(wrapper.state_dict()) == [f'module.{name}' for name in names]
    first = wrapper.handles()['autoencoder']
    assert wrapper.handles()['autoencoder'] is first
    model.decoder = Gray(0.25)
    log = wrapper.train_step(images(), optimizers(model))
    assert log['reconstruction'].item() == 0.75 and model.decoder.value.item() == 1.25
    second = wrapper.handles()['autoencoder']
    assert second is not first and second.module.decoder is model.decoder
    # Deep inside counts too.
    model.decoder.last = nn.Conv2d(3, 3, 1)
    assert wrapper.handles()['autoencoder'] is not second
