"""The one error that users' mistakes raise."""


class UserError(ValueError):
    """A mistake of the user; the message names the key or the file, and the remedy.

    The tools print it as one sentence and exit with code 2. Every other exception is a bug, here or
    in a part that a user wrote, and keeps its traceback.
    """
