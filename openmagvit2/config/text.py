"""The text of a config, for logs, records and checkpoints."""

from mmengine.config import Config


class TextConfig(Config):
    """A config whose text is formatted once: mmengine's Runner and its hooks ask for it five times
    before the first iteration, half a second each.
    """

    # Content and text of the last config that was asked; a run has one.
    _last = ('', '')

    @property
    def pretty_text(self) -> str:
        """Formatted Python code of the config."""
        content = repr(self.to_dict())
        known, text = TextConfig._last
        if known != content:
            text = super().pretty_text
            TextConfig._last = content, text
        return text
