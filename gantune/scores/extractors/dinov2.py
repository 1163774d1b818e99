"""DINOv2, the network of the Frechet distance FD-DINOv2 (Stein et al. 2023)."""

from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantune.config.extractor import ExtractorChoice
from gantune.errors import ScoreError
from gantune.scores.extractors.weights import Published, read_weights
from gantune.scores.features import Extractor, FeatureNetwork

_SIDE = 224  # pixels of the resized image, as in Stein et al. 2023
_PATCH = 14  # pixels; side of a patch
_GRID = 37  # patches in a row of the 518 pixels that the weights were trained for
_HEAD = 64  # features of an attention head
_OFFSET = 0.1  # patches; added to the grid's side where its positions are interpolated
_BATCH = 50  # images at a time
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for levels in [0, 1]
_DEFAULT = "dinov2-l14"  # of Stein et al. 2023
_UNUSED = "mask_token"  # only its own training needs it
_HOME = "https://dl.fbaipublicfiles.com/dinov2"


class _Size(NamedTuple):
    width: int
    depth: int
    weights: Published


_SIZES = {
    "dinov2-b14": _Size(768, 12, Published(f"{_HOME}/dinov2_vitb14/dinov2_vitb14_pretrain.pth")),
    "dinov2-l14": _Size(1024, 24, Published(f"{_HOME}/dinov2_vitl14/dinov2_vitl14_pretrain.pth")),
}


class DinoV2(FeatureNetwork):
    """A DINOv2 vision transformer without registers: its class token after the last norm.

    Oquab et al. 2023. ``name``: ``dinov2-b14`` (ViT-B/14, 768 features) or ``dinov2-l14``
    (ViT-L/14, 1,024 features). Images are resized to 224 pixels, bicubic and antialiased, and
    rounded to levels, as in Stein et al. 2023; gray ones are repeated to three channels.
    """

    kind: ClassVar[str] = "dinov2"

    def __init__(self, name: str) -> None:
        size = _SIZES[name]
        super().__init__({"name": name}, size.width, f"{_SIDE} rgb, bicubic, antialiased")
        with torch.device("meta"):  # the weights come from a file: drawing others takes seconds
            network = VisionTransformer(size.width, size.depth)
        self.network = network.to_empty(device="cpu")

    @classmethod
    def read(cls, name: str, weights: Path) -> Self:
        """The network with the weights of a file. Raises ``ScoreError`` for any other file."""
        needed = f"{_SIZES[name].weights.file} of DINOv2"
        found = read_weights(weights, needed)
        found.pop(_UNUSED, None)
        network = cls(name)
        try:
            network.network.load_state_dict(found)
        except Exception:  # several types on odd contents
            raise ScoreError(
                f"{weights}: these are weights of another network than {name}, of other names or "
                f"shapes; {needed} is needed"
            ) from None
        return network

    def forward(self, images: Tensor) -> Tensor:
        parts = torch.split(images.expand(-1, 3, -1, -1), _BATCH)
        return torch.cat([self.network(to_pixels(part)) for part in parts])


def to_pixels(images: Tensor) -> Tensor:
    """DINOv2's input, float32 [N, 3, 224, 224], of uint8 images [N, 3, H, W].

    Resized as by Pillow: first the width, then the height, each rounded to levels.
    """
    x = images.float()
    for size in ((x.shape[2], _SIDE), (_SIDE, _SIDE)):
        if x.shape[2:] != size:
            x = F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)
            x = x.round_().clamp_(0, 255)
    mean, std = (255 * x.new_tensor(one).view(3, 1, 1) for one in (_MEAN, _STD))
    return (x - mean).div_(std)


class VisionTransformer(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021) with the names of DINOv2's weights.

    Patches of 14 pixels, a class token, learned positions of a grid of 37x37 patches, layer scale
    (Touvron et al. 2021), heads of 64 features. Maps float32 [N, 3, H, W], H = W a multiple of 14,
    to [N, width].
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + _GRID**2, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, _PATCH, stride=_PATCH)})
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """The class token of each image after the last norm."""
        grid = self.patch_embed["proj"](images)
        patches = grid.flatten(2).transpose(1, 2) + self._positions(grid.shape[-1])
        token = (self.cls_token + self.pos_embed[:, :1]).expand(len(images), -1, -1)
        x = torch.cat([token, patches], dim=1)
        found: Tensor = self.norm(self.blocks(x)[:, 0])
        return found

    def _positions(self, side: int) -> Tensor:
        """The learned positions, interpolated to a grid of ``side`` x ``side``, [1, side^2, D]."""
        grid = self.pos_embed[:, 1:].view(1, _GRID, _GRID, -1)
        if side != _GRID:
            # The published features sample at this scale, a little off the exact one.
            scale = (side + _OFFSET) / _GRID
            moved = grid.permute(0, 3, 1, 2)
            moved = F.interpolate(moved, scale_factor=(scale, scale), mode="bicubic")
            grid = moved.permute(0, 2, 3, 1)
        found: Tensor = grid.flatten(1, 2)
        return found


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn = _Attention(width)
        self.ls1, self.ls2 = _Scale(width), _Scale(width)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        hidden = F.gelu(self.mlp["fc1"](self.norm2(x)))
        found: Tensor = x + self.ls2(self.mlp["fc2"](hidden))
        return found


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        # [N, tokens, 3 D] as q, k, v: [N, heads, tokens, 64]
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, -1, _HEAD).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.proj(found.transpose(1, 2).flatten(2))
        return mixed


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


def load_dinov2(choice: ExtractorChoice) -> Extractor:
    """DINOv2 with the weights of ``choice.weights``, or with those that Meta publishes.

    Raises ``ScoreError``, with the remedy, where they are not available.
    """
    name = _DEFAULT if choice.name == "dinov2" else choice.name
    weights = _SIZES[name].weights
    path = Path(choice.weights) if choice.weights is not None else weights.download()
    return Extractor(name, DinoV2.read(name, path).eval(), "the network of FD-DINOv2")
