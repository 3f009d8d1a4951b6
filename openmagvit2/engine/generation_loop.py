"""The test loop of generators: sample images and measure them (Table 4 of the paper)."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import get_dist_info, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from tqdm import tqdm

from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.base import measures_samples
from openmagvit2.evaluation.rejection import build_rejection
from openmagvit2.evaluation.sample_set import Pairs, SampleSet
from openmagvit2.registry import LOOPS
from openmagvit2.signatures import Count


class SamplePlan:
    """A data loader that yields this process's batches of samples to draw.

    A batch is a pair: the positions of its samples in the whole set, and their labels and numbers.

    Args:
        parts: Batches of (label, number within the label); the same for any number of processes.
    """

    def __init__(self, parts: Sequence[Pairs]) -> None:
        self.dataset = [pair for part in parts for pair in part]
        places = torch.arange(len(self.dataset)).split(list(map(len, parts)))
        rank, world = get_dist_info()
        self.own = list(zip(places, parts, strict=True))[rank::world]

    def __len__(self) -> int:
        return len(self.own)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, Pairs]]:
        return iter(self.own)


@LOOPS.register_module()
class GenerationLoop(BaseLoop):
    """Sample images with the config's ``eval_sampling`` and measure them, without writing them.

    With ``eval_rejection``, only the samples that a classifier finds most probable are measured.
    The evaluators are metrics of samples (:mod:`openmagvit2.evaluation.metrics.samples`).

    The processes share the batches. A sample is a function of seed, class and number, so the set is
    the same for any number of processes and equals the one that ``tools/sample.py`` writes.

    Args:
        runner, evaluator: Passed by mmengine.
        dataloader: Passed by mmengine and not built, because no data set is needed.
        num_per_class: Number of samples per class; 50 gives 50,000 for ImageNet.
        labels: Classes, or other conditions that the model's conditioner accepts; default: all
            classes. ``'random'`` draws the class of each sample.
        batch_size: Number of samples per batch.
        seed: Random seed of the samples.

    Raises:
        UserError: A metric measures a data set.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Evaluator | dict | list,
        *,
        num_per_class: Count = 50,
        labels: Sequence | str | None = None,
        batch_size: Count = 50,
        seed: int = 0,
    ) -> None:
        self._runner = runner
        built = isinstance(evaluator, Evaluator)
        self.evaluator = evaluator if built else runner.build_evaluator(evaluator)
        for metric in self.evaluator.metrics:
            if not measures_samples(type(metric)):
                raise UserError(
                    f'test_evaluator: {type(metric).__name__} measures a data set, but '
                    f'test_cfg.type=GenerationLoop samples images; use two calls.'
                )
        self.batch_size = batch_size
        self.samples = SampleSet(
            self._model,
            labels,
            num_per_class,
            runner.cfg.get('eval_sampling') or {},
            seed,
            build_rejection(runner.cfg.get('eval_rejection')),
            key='test_cfg.labels',
        )
        self.settings = self.samples.describe()
        self.dataloader = SamplePlan(self.samples.parts(batch_size))

    @property
    def _model(self) -> Any:
        return unwrap(self._runner.model)

    def run(self) -> dict[str, float]:
        """Sample and measure; return the metrics by name."""
        runner = self._runner
        runner.call_hook('before_test')
        runner.call_hook('before_test_epoch')
        self._model.eval()
        began, count = time.perf_counter(), len(self.dataloader.dataset)
        parts = tqdm(self.dataloader, desc='batches of samples', disable=not is_main_process())
        for number, (places, part) in enumerate(parts):
            images = self.samples.images(part, self.batch_size)
            self.evaluator.process([dict(samples=images, places=places, count=count)])
            if not number:
                self._announce(time.perf_counter() - began)
        metrics = self.evaluator.evaluate(count)
        runner.call_hook('after_test_epoch', metrics=metrics)
        runner.call_hook('after_test')
        return metrics

    def _announce(self, seconds: float) -> None:
        """Log the estimated time, from the first batch."""
        whole = timedelta(seconds=round(seconds * len(self.dataloader)))
        samples, (_, world) = len(self.dataloader.dataset), get_dist_info()
        print_log(
            f'{samples} samples in {world} process(es): the first batch took {seconds:.1f} s, all '
            f'batches will take about {whole}.',
            'current',
        )
