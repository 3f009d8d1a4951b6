"""MaskGIT's tokenizer as TiTok's authors and RAR's have it in torch."""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile
from openmagvit2.checkpoint.converters.rules import UNKEPT, Rename, Rule, Under
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

# MaskGIT's convolutional networks in torch.
MASKGIT = (
    Rename('mid_block.', 'mid.'),
    Rename('up.{i}.upsample.conv.', 'up.{i}.upsample_conv.'),
    *(Rename(name) for name in ('conv_in.', 'down.', 'up.', 'norm_out.', 'conv_out.')),
)


@CONVERTERS.register_module()
class MaskGitTorch(Converter):
    """The torch port of MaskGIT's tokenizer, which TiTok and RAR use."""

    files = (
        OfficialFile(
            'maskgit-vqgan-imagenet-f16-256.bin',
            'fun-research/TiTok',
            'configs/titok/proxy.py',
            (1024, 256),
        ),
    )
    configs = ('tiny/titok_proxy_32',)
    marks = ('quantize.embedding.weight',)
    bare = True

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'encoder.mid.0.conv1.weight' in state

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return the codes and their channels."""
        table = state.get('quantize.embedding.weight')
        return None if table is None else tuple(table.shape)

    def rules(self, model: nn.Module) -> list[Rule]:
        if is_generator(model):
            return []
        return [
            Rename('quantizer.embedding.weight', 'quantize.embedding.weight'),
            Under('encoder.', 'encoder.', MASKGIT),
            Under('decoder.', 'decoder.', MASKGIT),
            *UNKEPT,
        ]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a decoder with parts that the port does not have."""
        adaptive = any(name.startswith('decoder.adaptive.') for name in model.state_dict())
        return 'decoder.adaptive' if adaptive else None
