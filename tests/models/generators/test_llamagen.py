"""LlamaGen's transformer: its network on weights from a formula, tokens in any batch, resized
images.

The figures are those of the official code (docs/reference/specification.md, LlamaGen).
"""

import pytest
import torch
from torch import nn

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import to_ours
from openmagvit2.models.layers.rope import rope_table


def by_rule(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Sorted names k, flat index j, s = sin(0.7 j + 1.3 k); weights of norms 1 + 0.1 s."""
    state = {}
    for k, (name, shape) in enumerate(sorted(shapes.items())):
        numel = torch.Size(shape).numel()
        s = torch.sin(0.7 * torch.arange(numel, dtype=torch.float64) + 1.3 * k).view(shape)
        s = s * (3 / (numel // shape[0])) ** 0.5 if len(shape) > 1 else 1 + 0.1 * s
        state[name] = s.float()
    return state


@torch.no_grad()
def test_printed_figures():
    options = {
        'model.tokenizer.quantizer.codebook_size': 8,
        'model.conditioner.num_classes': 3,
        'model.backbone.dim': 16,
        'model.backbone.num_layers': 1,
        'model.backbone.num_heads': 2,
        'model.image_size': 8,
    }
    model = init_model('tiny/ar_llamagen_32', cfg_options=options).eval()
    block = dict(wqkv=(48, 16), wo=(16, 16))
    shapes = {f'layers.0.attention.{name}.weight': shape for name, shape in block.items()}
    shapes |= {f'layers.0.feed_forward.w{i}.weight': (256, 16) for i in (1, 3)}
    shapes |= {'layers.0.feed_forward.w2.weight': (16, 256), 'norm.weight': (16,)}
    shapes |= {f'layers.0.{name}_norm.weight': (16,) for name in ('attention', 'ffn')}
    shapes |= {'cls_embedding.embedding_table.weight': (4, 16)}
    shapes |= {f'{name}.weight': (8, 16) for name in ('tok_embeddings', 'output')}
    state = by_rule(shapes)
    assert sum(x.numel() for x in state.values()) == 13_680
    model.load_state_dict(to_ours(state, model)[0]['state_dict'], strict=False)
    tokens = (5 * torch.arange(4) % 8)[None, :, None]
    logits = model(tokens, torch.tensor([1]))[0]
    found = [logits.mean(), logits.std(correction=0), *logits.flatten()[:4], *logits.flatten()[-4:]]
    expected = [0.030957, 0.742735, -0.156511, 0.183845, 0.231154, -0.089994]
    expected += [-1.484784, 0.843057, 1.827073, -0.101248]
    assert torch.stack(found).tolist() == pytest.approx(expected, abs=1e-4)
    nats = nn.functional.cross_entropy(logits[0], tokens[0, :, 0], reduction='none')
    assert nats.tolist() == pytest.approx([2.285574, 3.054709, 2.057957, 3.062472], abs=1e-4)


def test_angles_of_heads_whose_width_is_no_power_of_two():
    """As those of the 3B model: cell (1, 2) of a 4x4 grid at width 20."""
    row = rope_table((4, 4), 20)[7]
    found = row[[0, 1, -1]].flatten().tolist()
    expected = [0.540302, 0.841471, 0.987467, 0.157827, 0.999999, 0.001262]
    assert found == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_images_are_resized_before_values_are_clamped(monkeypatch):
    model = init_model('tiny/ar_llamagen_32', cfg_options={'model.output_size': (2, 2)})
    wave = torch.sin(0.37 * torch.arange(9, dtype=torch.float64) + 0.11).float().view(1, 1, 3, 3)
    raw = (2 * wave).expand(4, 3, 3, 3)
    monkeypatch.setattr(model.tokenizer, 'decode_indices', lambda indices: raw)
    images = model.decode_indices(torch.zeros(4, 8, 8, dtype=torch.long))
    assert images.shape == (4, 3, 2, 2)
    resized = [0.365215, 0.782057, 0.762257, 0.332164]
    expected = [min(2 * value, 1.0) for value in resized]
    assert images[0, 0].flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_same_tokens_in_any_batch():
    torch.manual_seed(0)
    model = init_model('tiny/ar_llamagen_32').eval()
    nn.init.normal_(model.head.classifiers[0].weight, 0, 0.5)
    labels, numbers = [3, 1, 3, 0, 7, 1, 3], [0, 0, 1, 0, 0, 1, 2]
    sampling = dict(guidance=2.0, schedule='interval', interval=(0.0, 0.5))
    tokens = [
        torch.cat(
            [
                model.generate(labels[i : i + n], sampling, 5, numbers[i : i + n])
                for i in range(0, 7, n)
            ]
        )
        for n in (7, 1, 3)
    ]
    assert tokens[0].equal(tokens[1]) and tokens[0].equal(tokens[2])
    assert len(tokens[0].flatten(1).unique(dim=0)) == 7
