"""What encoder and decoder of the convolutional family are made of: levels and a middle."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from openmagvit2.models.layers.arguments import check_choice
from openmagvit2.models.layers.attention import AttnBlock
from openmagvit2.models.layers.residual import ResidualBlock


@dataclass(frozen=True)
class Blocks:
    """How the blocks of one network are built; see :class:`ResidualBlock`, :class:`AttnBlock`."""

    bias: bool = False
    shortcut: str = 'input'
    dropout: float = 0.0
    qkv: str = 'separate'

    def residual(self, in_channels: int, out_channels: int) -> ResidualBlock:
        """Return a residual block."""
        return ResidualBlock(
            in_channels, out_channels, bias=self.bias, shortcut=self.shortcut, dropout=self.dropout
        )

    def attention(self, channels: int) -> AttnBlock:
        """Return an attention block."""
        return AttnBlock(channels, qkv=self.qkv)

    def middle(self, kind: str, channels: int, number: int) -> tuple[nn.Sequential, nn.Sequential]:
        """Return the blocks between encoder levels and output, or between decoder input and levels.

        Args:
            kind: 'blocks' is ``number`` residual blocks, 'attention' is residual, attention,
                residual, and 'plain' is residual, residual.
            channels: Width.
            number: Residual blocks of 'blocks'.

        Returns:
            The modules ``mid_block`` and ``mid``, one of them empty: state dicts keep the official
            names of both families.
        """
        check_choice('middle', kind, ('blocks', 'attention', 'plain'))
        if kind == 'attention':
            parts = OrderedDict(
                block_1=self.residual(channels, channels),
                attn_1=self.attention(channels),
                block_2=self.residual(channels, channels),
            )
            return nn.Sequential(), nn.Sequential(parts)
        number = 2 if kind == 'plain' else number
        blocks = (self.residual(channels, channels) for _ in range(number))
        return nn.Sequential(*blocks), nn.Sequential()


class Level(nn.Module):
    """Residual blocks at one resolution, an attention block after each where the level has
    attention, and then the way to the next resolution, if any.

    Args:
        in_channels, out_channels: Widths; the first block changes the one to the other.
        number: Residual blocks.
        blocks: How the blocks are built.
        attention: Whether the level has attention.
        downsample, upsample: Makes the way to the next resolution; at most one of them. It is
            made after the blocks, the order in which initial weights are drawn.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        number: int,
        blocks: Blocks,
        attention: bool,
        *,
        downsample: Callable[[], nn.Module] | None = None,
        upsample: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            blocks.residual(out_channels if i else in_channels, out_channels) for i in range(number)
        )
        self.attn = nn.ModuleList(
            blocks.attention(out_channels) for _ in range(number if attention else 0)
        )
        self.downsample = downsample() if downsample else None
        self.upsample = upsample() if upsample else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, *size)."""
        for i, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[i](x)
        resample = self.downsample or self.upsample
        return x if resample is None else resample(x)
