"""A progress bar in the terminal."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from tqdm import tqdm

from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Show the number of iterations, the remaining time and the loss in one line.

    Args:
        title: Text before the bar.
    """

    priority = 'LOW'

    def __init__(self, title: str = 'training') -> None:
        self.title = title

    def before_train(self, runner) -> None:
        """Open the bar at the iteration where the training starts or resumes."""
        self.bar = tqdm(
            total=runner.max_iters,
            initial=runner.iter,
            desc=self.title,
            mininterval=1,
            dynamic_ncols=True,
            disable=not is_main_process(),
        )

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Advance the bar by one iteration."""
        if batch_idx % 20 == 0 and outputs:
            self.bar.set_postfix(loss=f'{float(outputs["loss"]):.3f}', refresh=False)
        self.bar.update()

    def after_train(self, runner) -> None:
        """Close the bar."""
        self.bar.close()
