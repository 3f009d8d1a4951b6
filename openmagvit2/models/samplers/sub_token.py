"""From logits to one sub-token: guidance, temperature, top-k, top-p, draw (spec §5.1)."""

from collections.abc import Sequence

from torch import Tensor

from openmagvit2.models.samplers.filters import draw, top_k, top_p
from openmagvit2.models.samplers.guidance import guide
from openmagvit2.registry import SAMPLERS

Setting = float | Sequence[float]


@SAMPLERS.register_module()
class SubTokenSampler:
    """Settings are one number, or one for each sub-token.

    Args:
        guidance: 1 is off; the model then runs without its null half.
        temperature: 0 takes the largest logit.
        top_k: 0 is off.
        top_p: 1 is off.

    Raises:
        ValueError: A setting out of its range, named.
    """

    def __init__(self, *, guidance: Setting = 1.0, temperature: Setting = 1.0, top_k: Setting = 0, top_p: Setting = 1.0) -> None:
        self.settings = dict(guidance=guidance, temperature=temperature, top_k=top_k, top_p=top_p)
        for name, low, high in (('guidance', 0, None), ('temperature', 0, None), ('top_k', 0, None), ('top_p', 0, 1)):
            for value in self._list(name):
                if not value >= low or (high is not None and value > high):
                    raise ValueError(f'sampling.{name} must be at least {low}{f" and at most {high}" if high else ""}, got {value}.')

    def _list(self, name: str) -> list[float]:
        value = self.settings[name]
        return list(value) if isinstance(value, (list, tuple)) else [value]

    def check(self, sub_tokens: int) -> None:
        """Raises ValueError where a list is not as long as there are sub-tokens."""
        for name in self.settings:
            if len(self._list(name)) not in (1, sub_tokens):
                raise ValueError(f'sampling.{name}={self.settings[name]}: give one number, or one for each of {sub_tokens} sub-tokens.')

    def setting(self, name: str, i: int) -> float:
        """Value of a setting for sub-token i."""
        values = self._list(name)
        return values[i] if len(values) > 1 else values[0]

    @property
    def guided(self) -> bool:
        """Whether any sub-token needs the null half."""
        return any(scale != 1 for scale in self._list('guidance'))

    def __call__(self, logits: Tensor, i: int, uniform: Tensor) -> Tensor:
        """Logits (B or 2B, V_i) of sub-token i and uniform numbers float64 (B,) in [0, 1) to int64 (B,)."""
        logits = guide(logits.float(), self.setting('guidance', i), len(uniform))
        temperature = self.setting('temperature', i)
        if temperature == 0:
            return logits.argmax(-1)
        logits = top_p(top_k(logits / temperature, int(self.setting('top_k', i))), self.setting('top_p', i))
        return draw(logits, uniform)
