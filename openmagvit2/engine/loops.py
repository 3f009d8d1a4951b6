"""The training loop, which counts iterations and resumes bit for bit."""

import logging
import math
from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import IterableDataset

from openmagvit2.engine.checks import check_batches, check_datasets, check_source
from openmagvit2.engine.finite import NonFiniteError, check_parameters_together
from openmagvit2.engine.hooks.checkpoint import ResumableCheckpointHook
from openmagvit2.engine.parallel.peers import is_lost
from openmagvit2.engine.random_state import set_random_state
from openmagvit2.engine.step import TrainStep
from openmagvit2.engine.stop import StopRequest, listening
from openmagvit2.engine.stream import StreamLoader
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import TrainingStopped, UserError, check_choice
from openmagvit2.protocols import Describing, TakesBatches
from openmagvit2.registry import LOOPS

# Largest number of iterations; schedules end there at the latest.
LONGEST = 1_000_000_000


@LOOPS.register_module()
class IterationLoop(BaseLoop):
    """Train by iterations: one optimizer step on one *global* batch each.

    ``global_batch_size`` is a top-level key of the config and does not depend on the number of
    processes. Each process loads its share, which the loop splits into
    ``optim_wrapper.accumulative_counts`` micro-batches.

    Args:
        runner, dataloader: Passed by mmengine.
        max_iters, max_epochs: Length of the training; exactly one of them. ``max_epochs`` is
            converted to iterations.
        val_interval: Iterations between validations; None validates at the end only.
        non_finite: 'stop' ends the training at a NaN or infinite loss or gradient and names it and
            its images. On an accelerator this comes up to 20 iterations late, but before anything
            is saved or validated. 'skip' skips such an optimizer step, which synchronizes with the
            device once per step.
        max_skips: Number of iterations to skip before 'skip' stops too.

    Raises:
        UserError: The data set has no length and no ``max_iters`` is given, the training is longer
            than 10^9 iterations, the dataloader has a ``batch_size``, or the global batch is not
            divisible by processes and micro-batches.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict,
        max_iters: int | None = None,
        max_epochs: int | None = None,
        val_interval: int | None = None,
        non_finite: str = 'stop',
        max_skips: int = 10,
    ) -> None:
        _check_settings(dataloader, max_iters, max_epochs, non_finite)
        micro_batches = runner.cfg.optim_wrapper.get('accumulative_counts') or 1
        self.global_batch_size = runner.cfg.get('global_batch_size')
        share = _share(self.global_batch_size, micro_batches)
        super().__init__(runner, dict(dataloader, batch_size=share))
        # An endless stream has no epochs: the whole training is one.
        self.is_stream = isinstance(self.dataloader.dataset, IterableDataset)
        if not self.is_stream:
            per_epoch = math.ceil(len(self.dataloader.dataset) / self.global_batch_size)
        elif max_iters is not None:
            per_epoch = max_iters
            self.dataloader = StreamLoader(self.dataloader, max_iters)
        else:
            raise UserError(
                f'train_cfg.max_epochs: {type(self.dataloader.dataset).__name__} has no epochs; '
                f'set train_cfg.max_iters instead.'
            )
        self._per_epoch = per_epoch
        self.max_iters = max_iters if max_iters is not None else max_epochs * per_epoch
        _check_length(self.max_iters)
        self.max_epochs = math.ceil(self.max_iters / per_epoch)
        self.val_interval = val_interval or self.max_iters
        # mmengine's Runner sets it when a training resumes.
        self._iter = 0
        # Over all processes; with another batch size, a training resumes at the same image.
        self.samples_seen = 0
        self.validated_iter = 0
        self.resumed_random_state: dict | None = None
        self.stop_training = False
        data = self.dataloader.dataset
        describe = data.describe if isinstance(data, Describing) else 'image {}'.format
        max_skips = max_skips if non_finite == 'skip' else 0
        self.step = TrainStep(runner, micro_batches, max_skips, describe)

    @property
    def iter(self) -> int:
        """Number of finished iterations."""
        return self._iter

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return self._iter // self._per_epoch

    def run(self) -> nn.Module:
        """Train to the end.

        Raises:
            TrainingStopped: A signal ended the training; its state is saved.
        """
        runner = self.runner
        self._check()
        with listening() as stop:
            runner.call_hook('before_train')
            batches = self._batches()
            runner.call_hook('before_train_epoch')
            runner.model.train()
            try:
                self._iterate(batches, stop)
            except Exception as error:
                self._rescue(error)
                raise
            stopped = self._iter < self.max_iters and stop.agreed() or self._validation_is_missing()
            runner.call_hook('after_train_epoch')
            runner.call_hook('after_train')
        if stopped:
            raise TrainingStopped(self._iter, stop.signal_number)
        return runner.model

    @property
    def _source(self) -> Any:
        """The object that chooses the next samples: the stream, or the sampler of a data set."""
        return self.dataloader.dataset if self.is_stream else self.dataloader.sampler

    def _check(self) -> None:
        """Raise UserError if data, model and settings do not fit together."""
        if self._iter and not self.samples_seen:
            raise UserError(
                'Runner.resume does not restore the position in the data; set resume=True and '
                'load_from in the config, or call openmagvit2.workflows.train.train.'
            )
        loaders = dict(train_dataloader=self.dataloader)
        if self.runner.val_loop is not None:
            loaders['val_dataloader'] = self.runner.val_loop.dataloader
        check_datasets(loaders, self.runner.model)
        self.step.prepare()
        check_source(self._source)
        check_batches(self.dataloader)

    def _batches(self) -> Iterator[dict]:
        """Return the batches after the samples seen, and restore the random state."""
        if isinstance(self._source, TakesBatches):
            self._source.set_batch(self.dataloader.batch_size)
        self._source.seek(self.samples_seen)
        batches = iter(self.dataloader)
        if self.resumed_random_state is not None:
            # Creating the iterator draws a number, which the saved state already includes.
            set_random_state(self.resumed_random_state)
        return batches

    def _iterate(self, batches: Iterator[dict], stop: StopRequest) -> None:
        if self._iter >= self.max_iters:
            print_log(
                f'The training is finished: {self._iter} of {self.max_iters} iterations are done. '
                f'To continue, resume it with a larger train_cfg.max_iters or max_epochs.',
                'current',
            )
        if self._validation_is_missing():
            self._validate(stop)
        while self._iter < self.max_iters and not self.stop_training:
            for hook in self._checkpoint_hooks():
                hook.save_if_due(self.runner)
            batch, error = _next(batches)
            if stop.agreed(failed=error is not None):
                self._end_together(stop, error)
                break
            self.run_iter(batch)
            if self._validation_is_due():
                self._validate(stop)
        self.step.watch.check()

    def _end_together(self, stop: StopRequest, error: Exception | None) -> None:
        """If a process has failed between iterations, save and raise an error in all processes."""
        if not stop.failed:
            return
        # Before the first iteration there is nothing to save, and a file would claim the folder.
        if get_world_size() > 1 and self._iter:
            for hook in self._checkpoint_hooks():
                hook.save(self.runner)
        raise error or UserError(
            'Another process could not read its images; see its output for the reason. The state '
            'is saved; continue with --resume.'
        )

    def run_iter(self, batch: dict[str, Any]) -> None:
        """Run one optimizer step on this process's share of a global batch."""
        call, number = self.runner.call_hook, self._iter
        call('before_train_iter', batch_idx=number, data_batch=batch)
        with self.step.whole():
            outputs = self.step(batch, number)
            call('after_train_iter', batch_idx=number, data_batch=batch, outputs=outputs)
            self._iter += 1
            self.samples_seen += self.global_batch_size

    def _checkpoint_hooks(self) -> list[ResumableCheckpointHook]:
        return [hook for hook in self.runner.hooks if isinstance(hook, ResumableCheckpointHook)]

    def _rescue(self, error: Exception) -> None:
        """Save the last finished iteration before an error ends the training.

        After an error between iterations (reading images, validation) this is an ordinary
        checkpoint. If an iteration fails before its first optimizer step, buffers that the forward
        pass updates may have changed. Nothing is saved after an optimizer step, because the state
        belongs to no iteration, or if another process is lost, because its random state is lost.
        """
        if is_lost(error):
            return
        if self.step.torn or isinstance(error, NonFiniteError):
            print_log(
                'The error occurred within an iteration, whose state is not saved; the last '
                'checkpoint is kept.',
                'current',
                logging.ERROR,
            )
            return
        for hook in self._checkpoint_hooks():
            hook.save_alone(self.runner)

    def _validation_is_due(self) -> bool:
        done = self._iter % self.val_interval == 0 or self._iter == self.max_iters
        return self.runner.val_loop is not None and done

    def _validate(self, stop: StopRequest) -> None:
        self.step.watch.check()
        # The last step may have changed them; the loss shows it only in the next iteration.
        model = unwrap(self.runner.model)
        check_parameters_together(model, dict(model.named_parameters()), self._iter)
        self.runner.val_loop.run(stop)
        if self.runner.val_loop.completed:
            self.validated_iter = self._iter
        self.runner.model.train()

    def _validation_is_missing(self) -> bool:
        """Return whether the validation of this iteration is due, but not complete."""
        return self._validation_is_due() and self.validated_iter != self._iter


def _next(batches: Iterator[dict]) -> tuple[dict, Exception | None]:
    """Return a batch, or the error in reading it, to be shared with the other processes."""
    try:
        return next(batches), None
    except Exception as error:
        return {}, error


def _check_settings(
    dataloader: dict, max_iters: int | None, max_epochs: int | None, non_finite: str
) -> None:
    check_choice('train_cfg.non_finite', non_finite, ('stop', 'skip'))
    if (max_iters is None) == (max_epochs is None):
        raise UserError(
            'train_cfg: set exactly one of max_iters and max_epochs, and the other to None.'
        )
    if 'batch_size' in dataloader:
        raise UserError(
            'train_dataloader.batch_size is not used; set global_batch_size at the top level.'
        )


def _check_length(max_iters: int) -> None:
    if max_iters > LONGEST:
        raise UserError(
            f'train_cfg: max_iters or max_epochs gives {max_iters} iterations; at most {LONGEST} '
            f'are possible.'
        )


def _share(global_batch_size: int | None, micro_batches: int) -> int:
    if not global_batch_size:
        raise UserError('The config has no global_batch_size; set it at the top level.')
    parts = get_world_size() * micro_batches
    if global_batch_size % parts:
        raise UserError(
            f'global_batch_size={global_batch_size} is not divisible by {get_world_size()} '
            f'processes times {micro_batches} micro-batches (optim_wrapper.accumulative_counts); '
            f'choose a multiple of {parts}.'
        )
    return global_batch_size // get_world_size()
