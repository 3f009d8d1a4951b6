"""The hook that writes a grid of reconstructions."""

from collections.abc import Sequence

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from torch import Tensor

from openmagvit2.registry import HOOKS
from openmagvit2.visualization.grids import Columns, image_grid, to_uint8
from openmagvit2.visualization.hooks.show import show


@HOOKS.register_module()
class ReconstructionGridHook(Hook):
    """Write the first validation images above their reconstructions.

    Args:
        num_images: Columns, up to 100.
    """

    priority = 'HIGH'

    def __init__(self, num_images: Columns = 8) -> None:
        self.num_images = num_images

    def before_val_epoch(self, runner) -> None:
        """Clear the images of the last validation."""
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def after_val_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[dict] | None = None,
    ) -> None:
        """Collect images and reconstructions until there are ``num_images``."""
        for sample in outputs or ():
            wanted = self.num_images - len(self.pairs)
            self.pairs += list(
                zip(sample['image'][:wanted], sample['reconstruction'][:wanted], strict=True)
            )

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Write the grid, unless the validation was interrupted and has no metrics."""
        if metrics and self.pairs and is_main_process():
            # One by one, because images may differ in size.
            rows = [
                [to_uint8(image[None])[0] for image in images]
                for images in zip(*self.pairs, strict=True)
            ]
            show(runner, 'reconstructions', image_grid(rows))
