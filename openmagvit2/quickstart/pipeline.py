"""Train the tokenizer and the generator of ``configs/quickstart``, evaluate them, draw, and write the report."""

import json
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.apis.running import test, train
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.quickstart.judge import accuracy, diversity, train_judge
from openmagvit2.quickstart.report import write_report
from openmagvit2.registry import DATASETS
from openmagvit2.visualization import image_grid, save_image

# Of the two trainings and everything after them, on two idle CPU cores with bfloat16 units.
MINUTES = 11.0
PER_CLASS = 20


def run(configs: Path, work_dir: Path, minutes: float = MINUTES) -> dict:
    """The whole pipeline; what an earlier start has finished is not done again.

    Args:
        configs: Folder with ``lfq_28.py`` and ``ar_28.py``.
        work_dir: Receives everything.
        minutes: Scales the numbers of steps; the default leaves them as the configs have them.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: ``work_dir`` holds a run of another length.
        TrainingStopped: A signal came; a second call goes on.
    """
    if not minutes > 0:
        raise UserError(f'--minutes must be positive, got {minutes}.')
    begin = time.time()
    # Chosen once for all configs of a run, so that a second start with another length cannot mix the two.
    _check_plan(work_dir, minutes)
    print(f'Quickstart: about {minutes:.0f} minutes on two idle CPU cores, and longer where other programs run. Ctrl-C is safe: start again.')
    print(f'Everything goes to {work_dir}.')
    tokenizer_config, tokenizer_file = _train(configs / 'lfq_28.py', work_dir / 'tokenizer', minutes / MINUTES, '1/4 tokenizer')
    generator_config, generator_file = _train(
        configs / 'ar_28.py', work_dir / 'generator', minutes / MINUTES, '2/4 generator', {'model.tokenizer.checkpoint': str(tokenizer_file)}
    )
    result = _evaluate(work_dir, (tokenizer_config, tokenizer_file), (generator_config, generator_file))
    result |= dict(seconds=round(time.time() - begin, 1), torch=torch.__version__)
    (work_dir / 'metrics.json').write_text(json.dumps(result, indent=2) + '\n')
    write_report(work_dir, result)
    return result


def _evaluate(work_dir: Path, tokenizer: tuple[Config, Path], generator: tuple[Config, Path]) -> dict:
    """Numbers of the two trainings (config and checkpoint), and the pictures."""
    print('3/4 judge: a small classifier, trained on the real images')
    real, test_set = (DATASETS.build(dict(type='FashionMNIST', split=split)) for split in ('train', 'test'))
    judge = train_judge(_rgb(real.images), real.labels, work_dir / 'judge.pth')

    print('4/4 evaluation, samples and report')
    metrics = test(tokenizer[0], str(tokenizer[1]), str(work_dir / 'tokenizer'))
    metrics |= test(generator[0], str(generator[1]), str(work_dir / 'generator'))
    sampler = Generator.from_config(*generator)
    labels = np.repeat(np.arange(10), PER_CLASS)
    samples = sampler.sample(labels, seed=0)
    test_images = _rgb(test_set.images)
    save_image(image_grid([samples[labels == c] for c in range(10)], scale=2), work_dir / 'samples.png')
    originals = [test_images[np.flatnonzero(test_set.labels == c)[0]] for c in range(10)]
    reconstructions = Tokenizer.from_config(*tokenizer).reconstruct(originals)
    save_image(image_grid([originals, reconstructions], scale=3), work_dir / 'reconstructions.png')
    return dict(
        psnr=metrics['psnr'],
        ssim=metrics['ssim'],
        codebook_usage=metrics['usage'],
        perplexity=metrics['perplexity'],
        tokens_per_image=sampler.model.num_tokens,
        bits_per_token=int(np.log2(sampler.model.tokenizer.quantizer.codebook_size)),
        nll_nats_per_image=metrics['nll'],
        judge_accuracy_on_real=accuracy(judge, test_images, test_set.labels),
        judge_accuracy_on_samples=accuracy(judge, samples, labels),
        judge_accuracy_by_class={name: accuracy(judge, samples[labels == c], labels[labels == c]) for c, name in enumerate(real.classes)},
        sample_diversity=diversity(samples, labels, test_images, test_set.labels),
        sampling=dict(sampler.sampling),
    )


def _check_plan(work_dir: Path, minutes: float) -> None:
    work_dir.mkdir(parents=True, exist_ok=True)
    plan = work_dir / 'plan.json'
    if plan.is_file():
        planned = json.loads(plan.read_text())['minutes']
        if planned != minutes:
            raise UserError(f'{work_dir} holds a run of --minutes {planned:g}; give the same, or another --work-dir.')
    plan.write_text(json.dumps(dict(minutes=minutes)) + '\n')


def _train(path: Path, work_dir: Path, scale: float, title: str, options: dict | None = None) -> tuple[Config, Path]:
    config = load_config(path, options)
    config.train_cfg.max_iters = max(round(config.train_cfg.max_iters * scale), 10)
    config.log_level = 'WARNING'
    config.custom_hooks = [*config.get('custom_hooks', []), dict(type='ProgressBarHook', title=title)]
    last = work_dir / f'iter_{config.train_cfg.max_iters}.pth'
    if last.is_file():
        print(f'{title}: finished before')
    else:
        train(config, str(work_dir), resume=True)
    return config, last


def _rgb(images: np.ndarray) -> np.ndarray:
    """uint8 (N, 28, 28) to (N, 28, 28, 3)."""
    return np.repeat(images[..., None], 3, -1)
