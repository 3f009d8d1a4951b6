"""Log the codebook usage of the last training images."""

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
from openmagvit2.signatures import Count, Fraction


@HOOKS.register_module()
class CodebookUsageHook(Hook):
    """Log ``train_usage`` and ``train_perplexity`` of the last images; warn of a collapse.

    ``train_usage`` is the fraction of codes used. With several codebooks, log the values of each
    one and their means. Unlike a validation's ``usage`` and ``perplexity``, they are measured on
    training crops with raw weights. A resumed training starts with an empty window.

    Args:
        window: Number of last images to count, over all processes.
        interval: Iterations between two counts; the first iteration is counted too.
        warn_below: Warn if a full window uses less than this fraction of the codes that its tokens
            could use.
    """

    priority = 'NORMAL'

    def __init__(
        self, window: Count = 2048, interval: Count = 50, warn_below: Fraction = 0.1
    ) -> None:
        self.window, self.interval, self.warn_below = window, interval, warn_below

    def before_train(self, runner) -> None:
        """Start recording the indices of the quantizer."""
        model = unwrap(runner.model)
        self.sizes = model.quantizer.codebook_sizes
        self.share = max(self.window // get_world_size(), 1)
        self.batches: deque[Tensor] = deque()

        def keep(quantizer, inputs, out) -> None:
            # Not by the quantizer's mode: a frozen one is in eval mode.
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
            UserError: An index is outside its codebook.
        """
        if batch_idx and (batch_idx + 1) % self.interval:
            return
        indices = torch.cat([batch.flatten() for batch in self.batches])
        # int32 is enough for a window, and halves the communication for 2^18 codes.
        books = [
            Book(book.size, book.counts.int(), book.values).summed()
            for book in count(indices, self.sizes, type(self).__name__)
        ]
        for name, value in summary(books).items():
            if not name.startswith('usage_of_possible'):
                # With a prefix, because the validation's values are separate curves.
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
                f'codes{where}, {possible:.1%} of those that their tokens could use. Raise the '
                f'entropy weight, or lower the learning rate.',
                'current',
                logging.WARNING,
            )

    def _keep(self, indices: Tensor) -> None:
        self.batches.append(indices)
        while self._images() - len(self.batches[0]) >= self.share:
            self.batches.popleft()

    def _images(self) -> int:
        return sum(len(batch) for batch in self.batches)
