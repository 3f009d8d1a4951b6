"""The hook that writes a grid of samples."""

from collections.abc import Sequence

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from openmagvit2.engine.unwrap import unwrap
from openmagvit2.registry import HOOKS
from openmagvit2.visualization.grids import Columns, image_grid, to_uint8
from openmagvit2.visualization.hooks.show import show


@HOOKS.register_module()
class SampleGridHook(Hook):
    """Write samples, one row per class, with the config's ``eval_sampling`` and fixed seeds.

    Args:
        labels: Classes to show, or other conditions that the model's conditioner accepts; the
            first ten classes by default.
        num_per_class: Columns, up to 100.
        seed: Random seed of the samples.
    """

    # Runs while the model still holds the averaged weights.
    priority = 'HIGH'

    def __init__(
        self, labels: Sequence | None = None, num_per_class: Columns = 4, seed: int = 0
    ) -> None:
        self.labels, self.num_per_class, self.seed = labels, num_per_class, seed

    def before_train(self, runner) -> None:
        """Choose the labels to show and check them.

        Raises:
            UserError: There are no classes, the model lacks one of the labels, or a setting of
                ``eval_sampling`` does not fit the model.
        """
        model = unwrap(runner.model)
        remedy = 'give SampleGridHook (custom_hooks) the conditions to show as `labels`'
        labels = model.conditioner.classes(remedy)[:10] if self.labels is None else self.labels
        self.shown = list(labels)
        model.check(self.shown, self._sampling(runner), self.seed)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Sample and write the grid in the main process, unless the validation was interrupted."""
        if not metrics or not is_main_process():
            return
        model = unwrap(runner.model)
        wanted = [label for label in self.shown for _ in range(self.num_per_class)]
        # On a CPU, a large generator may take minutes per image.
        print_log(f'Sampling {len(wanted)} images for the grid of SampleGridHook.', 'current')
        images = model.images(wanted, self._sampling(runner), self.seed)
        rows = to_uint8(images).reshape(len(self.shown), self.num_per_class, *images.shape[2:], 3)
        show(runner, 'samples', image_grid([list(row) for row in rows]))

    @staticmethod
    def _sampling(runner) -> dict:
        # The sampler needs a plain dict, not mmengine's ConfigDict.
        return dict(runner.cfg.get('eval_sampling') or {})
