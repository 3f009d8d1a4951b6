"""The test loop of generators: sample images, and measure them (Table 4 of the paper)."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
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
from openmagvit2.evaluation.sample_labels import RANDOM, by_class, listed, sample_pairs
from openmagvit2.registry import LOOPS

# For each sample of a batch: its number in the whole set, its class, its number in the class.
Places = Sequence[tuple[int, int, int]]


class SamplePlan:
    """The samples to draw, and this process's batches, as a data loader.

    Args:
        batches: Label of each sample of a batch, and its number within the label. Batches are the
            same in any number of processes.
    """

    def __init__(self, batches: Iterable[Sequence[tuple[int, int]]]) -> None:
        places = itertools.count()
        numbered = [[(next(places), *pair) for pair in batch] for batch in batches]
        self.dataset = [sample for batch in numbered for sample in batch]
        rank, world = get_dist_info()
        self.batches = numbered[rank::world]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Places]:
        return iter(self.batches)


@LOOPS.register_module()
class GenerationLoop(BaseLoop):
    """Sample images with the config's ``eval_sampling`` and measure them; no image is written.
    With an ``eval_rejection``, only the samples that a classifier finds most probable count.

    The evaluators are metrics of samples (:mod:`openmagvit2.evaluation.metrics.samples`).

    The processes share the batches. A sample is a function of seed, class and number, so the set
    is the same in any number of processes, and the one that ``tools/sample.py`` writes.

    Args:
        runner, evaluator: Given by mmengine.
        dataloader: Given by mmengine, and not built: no image of a data set is needed.
        num_per_class: Samples of each class; 50 make the 50,000 of ImageNet's 1,000.
        labels: Classes, or other conditions as the model's conditioner takes them; all classes by
            default. ``'random'`` draws the label of each sample among all classes.
        batch_size: Samples at a time.
        seed: Random seed of the samples.

    Raises:
        UserError: A number is below 1, or a metric measures a data set instead.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Evaluator | dict | list,
        *,
        num_per_class: int = 50,
        labels: Sequence | str | None = None,
        batch_size: int = 50,
        seed: int = 0,
    ) -> None:
        if min(num_per_class, batch_size) < 1:
            raise UserError('test_cfg: num_per_class and batch_size must be at least 1.')
        self._runner = runner
        built = isinstance(evaluator, Evaluator)
        self.evaluator = evaluator if built else runner.build_evaluator(evaluator)
        for metric in self.evaluator.metrics:
            if not measures_samples(type(metric)):
                raise UserError(
                    f'test_evaluator: {type(metric).__name__} measures a data set, and '
                    f'test_cfg.type=GenerationLoop samples; measure the two in two calls.'
                )
        labels, drawn = listed(labels, self._model.conditioner, 'test_cfg.labels')
        self.sampling, self.seed = dict(runner.cfg.get('eval_sampling') or {}), seed
        self._model.check(labels, self.sampling, seed, once=True)
        self.settings = dict(
            num_per_class=num_per_class,
            labels=RANDOM if drawn else len(labels),
            seed=seed,
            sampling=self.sampling,
        )
        self.batch_size = batch_size
        self.rejection = build_rejection(runner.cfg.get('eval_rejection'))
        pairs = sample_pairs(labels, num_per_class, seed, drawn)
        starts = range(0, len(pairs), batch_size)
        self.dataloader = SamplePlan(
            by_class(pairs) if self.rejection else (pairs[i : i + batch_size] for i in starts)
        )

    @property
    def _model(self) -> Any:
        model = self._runner.model
        return unwrap(model)

    def run(self) -> dict[str, float]:
        """Sample and measure: metrics by name."""
        runner = self._runner
        runner.call_hook('before_test')
        runner.call_hook('before_test_epoch')
        self._model.eval()
        self._prepare_rejection()
        began = time.perf_counter()
        batches = tqdm(self.dataloader, desc='batches of samples', disable=not is_main_process())
        for number, places in enumerate(batches):
            self.evaluator.process([self._sample(places)])
            if not number:
                self._announce(time.perf_counter() - began)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        runner.call_hook('after_test_epoch', metrics=metrics)
        runner.call_hook('after_test')
        return metrics

    def _sample(self, places: Places) -> dict[str, Any]:
        """Sample a batch and return it as the metrics take it."""
        order, labels, numbers = zip(*places, strict=True)
        if self.rejection:
            images = self.rejection.best(self._images, labels[0], len(places), self.batch_size)
        else:
            images = self._images(labels, numbers)
        return dict(samples=images, places=torch.tensor(order), count=len(self.dataloader.dataset))

    def _images(self, labels: Sequence[int], numbers: Sequence[int]) -> torch.Tensor:
        """Return images uint8 (B, 3, H, W)."""
        images = self._model.images(labels, self.sampling, self.seed, numbers)
        # As an 8-bit file has them: see visualization.to_uint8.
        return ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte()

    def _prepare_rejection(self) -> None:
        if self.rejection:
            classes = [label for _, label, _ in self.dataloader.dataset]
            self.rejection.prepare(classes, next(self._model.parameters()).device)
            self.settings['rejection'] = self.rejection.describe()

    def _announce(self, seconds: float) -> None:
        """Log the estimated time, from the first batch."""
        whole = timedelta(seconds=round(seconds * len(self.dataloader)))
        samples, (_, world) = len(self.dataloader.dataset), get_dist_info()
        print_log(
            f'{samples} samples in {world} process(es): the first batch took {seconds:.1f} s, all '
            f'will take about {whole}.',
            'current',
        )
