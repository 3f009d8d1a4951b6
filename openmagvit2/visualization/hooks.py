"""Grids of images at every validation, with averaged weights if any.

They go to ``<work_dir>/grids`` and to the backends of the config's ``visualizer``.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor

from openmagvit2.engine.unwrap import unwrap
from openmagvit2.registry import HOOKS
from openmagvit2.visualization.grids import image_grid, save_image, to_uint8


def _show(runner, name: str, grid: np.ndarray) -> None:
    save_image(grid, Path(runner.work_dir) / 'grids' / f'{name}_iter_{runner.iter}.png')
    runner.visualizer.add_image(name, grid, runner.iter)


@HOOKS.register_module()
class ReconstructionGridHook(Hook):
    """Write the first validation images above their reconstructions.

    Args:
        num_images: Columns.
    """

    priority = 'HIGH'

    def __init__(self, num_images: int = 8) -> None:
        self.num_images = num_images

    def before_val_epoch(self, runner) -> None:
        """Reset the images."""
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def after_val_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[dict] | None = None,
    ) -> None:
        """Keep images until there are ``num_images``."""
        for sample in outputs or ():
            wanted = self.num_images - len(self.pairs)
            self.pairs += list(
                zip(sample['image'][:wanted], sample['reconstruction'][:wanted], strict=True)
            )

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Write the grid; a validation that was cut short has no metrics and writes none."""
        if metrics and self.pairs and is_main_process():
            # One by one: images of a validation may differ in size.
            rows = [
                [to_uint8(image[None])[0] for image in images]
                for images in zip(*self.pairs, strict=True)
            ]
            _show(runner, 'reconstructions', image_grid(rows))


@HOOKS.register_module()
class SampleGridHook(Hook):
    """Write samples, one row for each class, with the config's ``eval_sampling`` and fixed seeds.

    Args:
        labels: Classes to show, or other conditions as the model's conditioner takes them; the
            first ten classes by default.
        num_per_class: Columns.
        seed: Random seed of the samples.
    """

    # Before averaged weights leave the model again.
    priority = 'HIGH'

    def __init__(
        self, labels: Sequence | None = None, num_per_class: int = 4, seed: int = 0
    ) -> None:
        self.labels, self.num_per_class, self.seed = labels, num_per_class, seed

    def before_train(self, runner) -> None:
        """Find what to show.

        Raises:
            UserError: There are no classes, a label is none of the model's, or a setting of
                ``eval_sampling`` does not fit the model.
        """
        model = unwrap(runner.model)
        remedy = 'give SampleGridHook (custom_hooks) the conditions to show as `labels`'
        labels = model.conditioner.classes(remedy)[:10] if self.labels is None else self.labels
        self.shown = list(labels)
        model.check(self.shown, self._sampling(runner), self.seed)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Sample and write in the main process; skip a validation that was cut short."""
        if not metrics or not is_main_process():
            return
        model = unwrap(runner.model)
        wanted = [label for label in self.shown for _ in range(self.num_per_class)]
        # On a CPU a large generator takes minutes for one.
        print_log(f'Sampling {len(wanted)} images for the grid of SampleGridHook.', 'current')
        images = model.images(wanted, self._sampling(runner), self.seed)
        rows = to_uint8(images).reshape(len(self.shown), self.num_per_class, *images.shape[2:], 3)
        _show(runner, 'samples', image_grid([list(row) for row in rows]))

    @staticmethod
    def _sampling(runner) -> dict:
        # mmengine's ConfigDict is a dict of another class; the sampler wants a plain one.
        return dict(runner.cfg.get('eval_sampling') or {})
