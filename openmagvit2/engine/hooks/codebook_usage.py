"""Codebook usage over the last training images, in the log."""

import logging
from collections import deque

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor

from openmagvit2.engine.unwrap import unwrap
from openmagvit2.evaluation.usage import Book, count, summary
from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class CodebookUsageHook(Hook):
    """Log ``train_usage``, the fraction of the codes in the window, and ``train_perplexity``; warn
    of a collapse.

    With several codebooks, log the means and the values of each one. ``usage`` and ``perplexity``
    are those of a validation; this counts training crops under the raw weights. A resume
    starts with an empty window.

    Args:
        window: Images to look back, over all processes.
        interval: Iterations between two counts; the first iteration counts too.
        warn_below: Warn when a full window uses less than this fraction of what its tokens could.
    """

    priority = 'NORMAL'

    def __init__(self, window: int = 2048, interval: int = 50, warn_below: float = 0.1) -> None:
        self.window, self.interval, self.warn_below = window, interval, warn_below

    def before_train(self, runner) -> None:
        """Record the indices that the quantizer gives while the model trains."""
        model = unwrap(runner.model)
        self.sizes = model.quantizer.codebook_sizes
        self.share = max(self.window // get_world_size(), 1)
        self.batches: deque[Tensor] = deque()

        def keep(quantizer, inputs, out) -> None:
            # Not the quantizer's own mode: a frozen one is in eval mode.
            if model.training:
                self._keep(out.indices.detach())

        self.handle = model.quantizer.register_forward_hook(keep)

    def after_train(self, runner) -> None:
        """Stop recording."""
        self.handle.remove()

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Count and log at each interval; all processes must call this together.

        Raises:
            UserError: An index is not in its codebook.
        """
        if batch_idx and (batch_idx + 1) % self.interval:
            return
        indices = torch.cat([batch.flatten() for batch in self.batches])
        # int32 suffices for counts of a window, and halves what 2^18 codes send.
        books = [
            Book(book.size, book.counts.int(), book.values).summed()
            for book in count(indices, self.sizes, type(self).__name__)
        ]
        for name, value in summary(books).items():
            if not name.startswith('usage_of_possible'):
                # Not by the names of the validation's, which are curves of their own.
                runner.message_hub.update_scalar(f'train/train_{name}', value)
        if self._images() >= self.share:
            for number, book in enumerate(books):
                self._warn(book, f' of codebook {number}' if len(books) > 1 else '')

    def _warn(self, book: Book, where: str) -> None:
        """Warn if one codebook has collapsed."""
        possible = book.used / book.possible
        if possible < self.warn_below:
            print_log(
                f'Codebook collapse? The last {self.window} images use {book.used} of {book.size} '
                f'codes{where}, {possible:.1%} of what their tokens could. Raise the entropy '
                f'weight, or lower the learning rate.',
                'current',
                logging.WARNING,
            )

    def _keep(self, indices: Tensor) -> None:
        self.batches.append(indices)
        while self._images() - len(self.batches[0]) >= self.share:
            self.batches.popleft()

    def _images(self) -> int:
        return sum(len(batch) for batch in self.batches)
