"""What modules do once per iteration, however many micro-batches it has."""

from torch import nn


def finish_iteration(model: nn.Module) -> None:
    """Call ``finish_iteration()`` of each part that has one, after the optimizer's step.

    Tables that move and averages of batches change here: in between, a change would spoil the
    gradients of the micro-batches before, and count each of them as an iteration.
    """
    for module in model.modules():
        if hasattr(module, 'finish_iteration'):
            module.finish_iteration()
