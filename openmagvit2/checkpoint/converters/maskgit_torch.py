"""The port of MaskGIT's tokenizer to torch by the authors of TiTok and RAR."""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import Rename, Rule, Under
from openmagvit2.registry import CONVERTERS

# Rules of the encoder or the decoder.
MASKGIT = (
    Rename('mid_block.', 'mid.'),
    Rename('up.{i}.upsample.conv.', 'up.{i}.upsample_conv.'),
    *(Rename(name) for name in ('conv_in.', 'down.', 'up.', 'norm_out.', 'conv_out.')),
)


@CONVERTERS.register_module()
class MaskGitTorch(Converter):
    """The tokenizer that RAR uses, and from which TiTok takes its proxy codes."""

    stage = 'tokenizer'
    configs = ('tiny/titok_proxy_32',)
    marks = ('quantize.embedding.weight',)
    bare = True

    def detects(self, state: dict[str, Tensor]) -> bool:
        return any(name.startswith('encoder.mid.0.') for name in state)

    def rules(self, model: nn.Module) -> list[Rule]:
        return [
            Rename('quantizer.embedding.weight', 'quantize.embedding.weight'),
            Under('encoder.', 'encoder.', MASKGIT),
            Under('decoder.', 'decoder.', MASKGIT),
        ]

    def misfit(self, model: nn.Module) -> str | None:
        """Return the adaptive norm, which the port does not have."""
        adaptive = any(name.startswith('decoder.adaptive.') for name in model.state_dict())
        return 'decoder.adaptive' if adaptive else None
