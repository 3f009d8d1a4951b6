"""The next-scale generator: its attention mask, the cache, samples, and VAR's published numbers."""

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.models.backbones.adaln import AdaLnTransformer

CONFIG = 'tiny/var_32'


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = init_model(CONFIG)
    torch.nn.init.normal_(model.head.classifiers[0].weight)
    for block in model.backbone.blocks:
        torch.nn.init.normal_(block.modulation.weight, 0.0, 0.1)
    return model


def batch(model, count=3):
    generator = torch.Generator().manual_seed(0)
    sub = torch.randint(64, (count, model.num_tokens, 1), generator=generator)
    return sub, dict(label=torch.arange(count))


@torch.no_grad()
def test_a_token_depends_on_the_scales_before_alone(model):
    sub, condition = batch(model)
    before = model(sub, condition)[0]
    assert before.shape == (3, 21, 64)
    changed = sub.clone()
    changed[:, 1] = (sub[:, 1] + 1) % 64
    after = model(changed, condition)[0]
    # One token of the second scale: all of the third scale, nothing of the first two.
    assert_close(after[:, :5], before[:, :5], atol=1e-5, rtol=0)
    assert (after[:, 5:] - before[:, 5:]).abs().amax((0, 2)).min() > 1e-4


@torch.no_grad()
def test_decoding_with_a_cache_gives_the_teacher_forced_logits(model):
    seen = []

    class Keep:
        guided = False

        def check(self, sub_tokens):
            pass

        def __call__(self, logits, i, uniform, progress=1.0):
            seen.append((logits, progress))
            return logits.argmax(-1)

    indices = model.generate([0, 1, 2, 3], Keep())
    sub = model.split(indices)
    teacher = model(sub, dict(label=torch.arange(4)))[0]
    sizes = (1, 4, 16)
    cached = torch.cat([x.view(4, n, -1) for (x, _), n in zip(seen, sizes, strict=True)], 1)
    assert_close(cached, teacher, atol=1e-4, rtol=0)
    assert [progress for _, progress in seen] == [0.0, 0.5, 1.0]


def test_a_sample_is_a_function_of_seed_class_and_number(model):
    sampling = dict(guidance=2.5, schedule='linear', top_k=40, top_p=0.96)
    indices = model.generate([0, 1, 1], sampling, seed=3)
    assert indices.shape == (3, 21) and not indices[1].equal(indices[2])
    assert model.generate([1], sampling, seed=3, numbers=[1]).equal(indices[2:])


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(model):
    sub, condition = batch(model)
    nll = model.nll(sub, condition)
    alone = model.nll(sub[1:2], dict(label=condition['label'][1:2]))
    assert nll.shape == (3,) and torch.allclose(nll[1:2], alone, rtol=1e-4)
    loss = model.losses(sub, condition)['sub_token_0']
    assert torch.allclose(nll.mean() / 21, loss, rtol=1e-5)


def test_gradients_reach_all_trained_parts_and_no_other():
    model = init_model(CONFIG).train()
    torch.nn.init.normal_(model.head.classifiers[0].weight)
    model.losses(*batch(model))['sub_token_0'].backward()
    without = [n for n, p in model.transformer.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad is None for p in model.tokenizer.parameters())
    assert 'code_embedding.weight' in dict(model.transformer.named_parameters())


def test_what_does_not_go_together_is_named():
    for options, message in (
        ({'model.head.embedding': 'TokenEmbedding'}, 'model.head.embedding must be None'),
        (
            {'model.backbone': dict(_delete_=True, type='Llama', dim=64)},
            'Llama does not support `levels`',
        ),
        (
            {'model.tokenizer.quantizer': dict(_delete_=True, type='LFQ', num_bits=6)},
            'LFQ has no scales',
        ),
    ):
        with pytest.raises(UserError, match=message):
            init_model(CONFIG, cfg_options=options)


def test_drop_path_leaves_out_whole_samples_and_keeps_the_mean():
    block = AdaLnTransformer(grid=(2,), dim=8, num_layers=2, num_heads=2, drop_path=0.5).blocks[1]
    torch.manual_seed(0)
    kept = block.train()._kept(torch.ones(4000, 2, 1))
    assert set(kept.unique().tolist()) == {0.0, 2.0} and kept[:, 0].equal(kept[:, 1])
    assert kept.mean() == pytest.approx(1.0, abs=0.05)
    assert block.eval()._kept(torch.ones(3, 2, 1)).eq(1).all()
