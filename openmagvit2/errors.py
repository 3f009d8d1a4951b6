"""What ends a run without being a bug: a mistake of the user, or a signal."""


class UserError(ValueError):
    """A mistake of the user; the message names the key or the file, and the remedy.

    The tools print it as one sentence and exit with code 2. Every other exception is a bug, here or
    in a part that a user wrote, and keeps its traceback.
    """


class TrainingStopped(Exception):
    """A signal ended the training; ``iteration`` iterations are saved.

    Attributes:
        iteration: Iterations done.
        signal_number: The signal that ended it.
    """

    def __init__(self, iteration: int, signal_number: int) -> None:
        super().__init__(f'stopped after iteration {iteration}')
        self.iteration = iteration
        self.signal_number = signal_number

    def __reduce__(self) -> tuple:
        return type(self), (self.iteration, self.signal_number)
