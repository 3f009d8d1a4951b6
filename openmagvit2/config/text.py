"""The text of a config, for logs, records and checkpoints."""

from mmengine.config import Config


class TextConfig(Config):
    """A config that formats its text only once: mmengine's Runner and its hooks use the text five
    times before the first iteration, and formatting takes half a second.
    """

    # Content and text of the last config that was formatted; a run has one config.
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
