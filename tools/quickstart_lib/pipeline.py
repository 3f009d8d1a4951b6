"""Train the tokenizer and the generator of ``configs/quickstart``, evaluate them, draw, and write
the report.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.config import load_config
from openmagvit2.datasets import FashionMNIST
from openmagvit2.engine.hooks import ProgressBarHook
from openmagvit2.engine.precision import fastest_precision
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder
from openmagvit2.registry import MODELS
from openmagvit2.workflows.test import test
from openmagvit2.workflows.tokenize import tokenize
from openmagvit2.workflows.train import train
from quickstart_lib.hooks import LivePictureHook, PaceHook
from quickstart_lib.judge import accuracy, diversity, train_judge
from quickstart_lib.pictures import draw_reconstructions, draw_samples, to_rgb
from quickstart_lib.plan import MINUTES, RATE, Pace, Plan, Stage, likely_cause, read_plan
from quickstart_lib.report import write_report
from quickstart_lib.speed import CpuShare, convolution_rate, step_time

PER_CLASS = 20
TITLES = dict(
    tokenizer='1/5 tokenizer', tokens='2/5 tokens', generator='3/5 generator', judge='4/5 judge'
)


class Quickstart:
    """The whole path on the embedded images; what an earlier start has finished is not repeated.

    Args:
        configs: Folder with ``fsq_28.py`` and ``ar_28.py``.
        work_dir: Receives everything.
        minutes: Budget in minutes on this machine; None trains for as long as the configs say.

    Raises:
        UserError: ``minutes`` is not positive; ``work_dir`` holds a run of another length.
    """

    def __init__(self, configs: Path, work_dir: Path, minutes: float | None = None) -> None:
        if minutes is not None and not minutes > 0:
            raise UserError(f'--minutes must be positive, got {minutes}.')
        self.work_dir = make_folder(work_dir)
        tokens = {
            f'{split}_dataloader.dataset.data_root': str(work_dir / 'tokens' / split)
            for split in ('train', 'val')
        }
        self.configs = dict(
            tokenizer=load_config(configs / 'fsq_28.py'),
            generator=load_config(
                configs / 'ar_28.py', {'model.tokenizer.checkpoint': None} | tokens
            ),
        )
        self.train_set, self.test_set = FashionMNIST(split='train'), FashionMNIST(split='test')
        self.pace = self._plan(minutes)
        for name, stage in self.pace.plan.stages.items():
            self.configs[name].train_cfg.max_iters = stage.steps
            self.configs[name].log_level = 'WARNING'

    def run(self) -> dict:
        """Train, evaluate and draw.

        Returns:
            The content of ``metrics.json``.

        Raises:
            TrainingStopped: A signal stopped it; the next start continues.
        """
        begin = time.perf_counter()
        tokenizer = self._train('tokenizer', self._draw_reconstructions)
        self._tokenize(tokenizer)
        self.configs['generator'].model.tokenizer.checkpoint = str(tokenizer)
        generator = self._train('generator', self._draw_samples)
        result = self._evaluate(tokenizer, generator)
        result |= dict(
            seconds=round(time.perf_counter() - begin, 1),
            gflops=round(self.pace.plan.rate, 1),
            compute_type=str(fastest_precision('cpu')),
            torch=torch.__version__,
        )
        (self.work_dir / 'metrics.json').write_text(
            json.dumps(result, indent=2) + '\n', encoding='utf-8'
        )
        write_report(self.work_dir, result, 'Finished.')
        return result

    def _plan(self, minutes: float | None) -> Pace:
        """Measure this machine, fix the number of steps of each stage, and announce the plan."""
        path, fastest = self.work_dir / 'plan.json', fastest_precision('cpu')
        clock = CpuShare()
        rate, share = convolution_rate(), clock.value()
        print(
            f'This machine: {rate:.0f} GFLOP/s (3x3 convolution, {torch.get_num_threads()} '
            f'threads); {fastest}.'
        )
        if path.is_file():
            plan = read_plan(path, minutes)
        else:
            stages = {
                name: Stage(config.train_cfg.max_iters, self._step_time(name))
                for name, config in self.configs.items()
            }
            plan = Plan(None, rate, stages)
            plan = plan if minutes is None else plan.within(minutes)
            plan.write(path)
        if all(self._last(name, stage.steps).is_file() for name, stage in plan.stages.items()):
            print('Quickstart: both trainings are finished; the evaluation is made anew.')
            return Pace(plan, plan.total_minutes)
        promised = minutes or MINUTES * max(1.0, RATE / rate)
        cause = likely_cause(share, fastest.dtype, fastest.dtype)
        print(f'Quickstart: {Pace(plan, promised).report(plan.total_minutes, cause)}')
        print(
            f'Everything goes to {self.work_dir}. Ctrl-C is safe: the same command goes on. '
            f'report.html grows with the run.'
        )
        return Pace(plan, plan.total_minutes)

    def _last(self, name: str, steps: int) -> Path:
        """Return the checkpoint of a finished training."""
        return self.work_dir / name / f'iter_{steps}.pth'

    def _step_time(self, name: str) -> float:
        config = self.configs[name]
        batch: dict[str, Any] = dict(label=torch.zeros(config.global_batch_size, dtype=torch.long))
        if name == 'tokenizer':
            batch['image'] = torch.zeros(config.global_batch_size, 3, 28, 28, dtype=torch.uint8)
        else:
            shape = MODELS.build(config.model).token_shape
            batch['indices'] = torch.zeros(config.global_batch_size, *shape, dtype=torch.long)
        return step_time(config, batch)

    def _train(self, name: str, draw) -> Path:
        config, title = self.configs[name], TITLES[name]
        last = self._last(name, config.train_cfg.max_iters)
        if last.is_file():
            print(f'{title}: finished before')
            return last
        hooks = [ProgressBarHook(title), PaceHook(self.pace, name), LivePictureHook(draw)]
        train(config, str(self.work_dir / name), resume=True, hooks=hooks)
        return last

    def _tokenize(self, checkpoint: Path) -> None:
        print(f'{TITLES["tokens"]}: of all images, once for all steps of the generator')
        for split in ('train', 'val'):
            out = self.work_dir / 'tokens' / split
            tokenize(self.configs['tokenizer'], str(checkpoint), out, split=split, batch_size=200)

    def _draw_reconstructions(self, model: torch.nn.Module, done: int, steps: int) -> None:
        path = self.work_dir / 'reconstructions.png'
        draw_reconstructions(
            Tokenizer(model), to_rgb(self.test_set.images), self.test_set.labels, path
        )
        write_report(self.work_dir, {}, f'Training the tokenizer: {done} of {steps} steps.')

    def _draw_samples(self, model: torch.nn.Module, done: int, steps: int) -> None:
        draw_samples(
            Generator(model, self.configs['generator'].eval_sampling),
            4,
            self.work_dir / 'samples.png',
        )
        write_report(self.work_dir, {}, f'Training the generator: {done} of {steps} steps.')

    def _evaluate(self, tokenizer: Path, generator: Path) -> dict:
        """Write the pictures and return the numbers of both trainings."""
        print(f'{TITLES["judge"]}: a small classifier, trained on the real images')
        real, labels = to_rgb(self.train_set.images), self.train_set.labels
        judge = train_judge(real, labels, self.work_dir / 'judge.pth')
        print('5/5 evaluation, samples and report')
        files = dict(tokenizer=tokenizer, generator=generator)
        metrics: dict[str, float] = {}
        for name, file in files.items():
            metrics |= test(self.configs[name], str(file), str(self.work_dir / name))
        test_images, test_labels = to_rgb(self.test_set.images), self.test_set.labels
        loaded = Tokenizer.from_config(self.configs['tokenizer'], tokenizer)
        draw_reconstructions(
            loaded, test_images, test_labels, self.work_dir / 'reconstructions.png'
        )
        sampler = Generator.from_config(self.configs['generator'], generator)
        samples, asked = draw_samples(sampler, PER_CLASS, self.work_dir / 'samples.png')
        by_class = {
            name: accuracy(judge, samples[asked == c], asked[asked == c])
            for c, name in enumerate(self.train_set.classes)
        }
        return dict(
            psnr=metrics['psnr'],
            ssim=metrics['ssim'],
            codebook_usage=metrics['usage'],
            perplexity=metrics['perplexity'],
            tokens_per_image=sampler.model.num_tokens,
            bits_per_token=round(
                float(np.log2(sampler.model.tokenizer.quantizer.codebook_size)), 2
            ),
            nll_nats_per_image=metrics['nll'],
            judge_accuracy_on_real=accuracy(judge, test_images, test_labels),
            judge_accuracy_on_samples=accuracy(judge, samples, asked),
            judge_accuracy_by_class=by_class,
            sample_diversity=diversity(samples, asked, test_images, test_labels),
            sampling=dict(sampler.sampling),
        )


def run(configs: Path, work_dir: Path, minutes: float | None = None) -> dict:
    """Run the whole pipeline; see :class:`Quickstart`."""
    return Quickstart(configs, work_dir, minutes).run()
