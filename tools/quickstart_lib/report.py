"""Write ``report.html``: pictures, curves, and numbers with their meaning."""

import base64
import html
import json
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of a backend without a display)

from openmagvit2.datasets import FashionMNIST  # noqa: E402

CURVES = {
    'tokenizer': [
        ('reconstruction', 'squared error'),
        ('psnr', 'PSNR on test images (dB)'),
        ('perplexity', 'perplexity of test codes'),
    ],
    'generator': [
        ('loss', 'training loss (nats per token)'),
        ('nll', 'test NLL (nats per image)'),
        ('transformer.lr', 'learning rate'),
    ],
}
MEANING = {
    'psnr': (
        'dB, mean over the 2,000 embedded test images: how close a reconstruction from the '
        'tokens is to its original.'
    ),
    'ssim': 'Structural similarity of the same pairs; 1 is equal.',
    'codebook_usage': 'Fraction of the codes that occur in the tokens of the test images.',
    'perplexity': (
        'How many codes are in use, weighted by their frequency; at most the size of the codebook.'
    ),
    'tokens_per_image': 'Tokens that stand for an image.',
    'bits_per_token': 'log2 of the size of the codebook.',
    'nll_nats_per_image': (
        "Negative log-likelihood of the test images' tokens under the generator, given the class."
    ),
    'judge_accuracy_on_real': (
        'A small classifier, trained on the real training images, on the real test images.'
    ),
    'judge_accuracy_on_samples': (
        'The same classifier on 200 samples: how often it sees the class that was asked for.'
    ),
    'judge_accuracy_by_class': 'The same for each class.',
    'sample_diversity': (
        'Mean distance between samples of a class over that between real test '
        'images of the class; 1 is as diverse as reality.'
    ),
    'sampling': (
        'Settings of the sampler; guidance above 1 trades diversity for likeness to the class.'
    ),
    'seconds': 'Time of this start; what an earlier one had finished was not done again.',
    'gflops': (
        'GFLOP/s of a 3x3 convolution in float32 on this machine, measured at the first start.'
    ),
    'compute_type': 'What the trainings compute in, and why.',
    'torch': 'Version.',
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>openmagvit2 quickstart</title>
<style>body{{font:16px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}}
img{{max-width:100%}}
td,th{{text-align:left;padding:.2rem .8rem;border-bottom:1px solid #ddd;vertical-align:top}}</style>
<h1>openmagvit2 quickstart</h1>
<p>A tokenizer turns 28x28 images into a grid of tokens, and a transformer learns to write
such tokens, class by class. Both are trained on the 10,000 embedded Fashion-MNIST images and
judged on the 2,000 test images.</p>
<p><b>{state}</b></p>
{sections}</html>
"""
SECTIONS = dict(
    reconstructions=(
        'Reconstructions',
        'Above: test images. Below: the same, from their tokens alone.',
    ),
    samples=('Samples', 'A row for each class: {classes}. None was picked.'),
    curves=('Curves', ''),
)


def read_scalars(work_dir: Path) -> list[dict]:
    """Return the scalars that mmengine logged, over all starts of a run, in order."""
    lines = [
        line
        for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    return [json.loads(line) for line in lines]


def write_report(work_dir: Path, metrics: dict, state: str) -> None:
    """Write ``curves.png`` and ``report.html``, which embeds its pictures.

    Args:
        work_dir: Folder of the run; pictures that do not exist yet are left out.
        metrics: Numbers of a finished run; empty before.
        state: How far the run has got.
    """
    _draw_curves(work_dir)
    classes = ', '.join(FashionMNIST.classes)
    sections = [
        f'<h2>{title}</h2><p>{text.format(classes=html.escape(classes))}</p>'
        f'{_image(work_dir / f"{name}.png")}'
        for name, (title, text) in SECTIONS.items()
        if (work_dir / f'{name}.png').is_file()
    ]
    if metrics:
        rows = (
            f'<tr><th>{name}</th><td>{html.escape(_text(value))}</td><td>{html.escape(MEANING[name])}</td></tr>'
            for name, value in metrics.items()
        )
        sections.append(f'<h2>Numbers</h2><table>{"".join(rows)}</table>')
    page = PAGE.format(state=html.escape(state), sections='\n'.join(sections))
    (work_dir / 'report.html').write_text(page, encoding='utf-8')


def _draw_curves(work_dir: Path) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(13, 6.5), constrained_layout=True)
    for row, (part, curves) in zip(axes, CURVES.items(), strict=True):
        scalars = read_scalars(work_dir / part)
        for axis, (name, title) in zip(row, curves, strict=True):
            # A resumed start repeats the steps after the last checkpoint; its values win.
            points = sorted({s['step']: s[name] for s in scalars if name in s}.items())
            axis.plot(
                [step for step, _ in points],
                [value for _, value in points],
                marker='o' if len(points) < 30 else None,
            )
            axis.set(title=f'{part}: {title}', xlabel='iteration')
            axis.grid(alpha=0.3)
    figure.savefig(work_dir / 'curves.png', dpi=90)
    plt.close(figure)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ', '.join(f'{name} {_text(part)}' for name, part in value.items())
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _image(path: Path) -> str:
    return (
        f'<img alt="{path.stem}" '
        f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
    )
