"""``TrialConfig``: one run of GAN training, whole. No torch and no Optuna here.

Every field states its meaning, unit and legal range; ranges are checked when the config is made,
and so is what the fields must agree on (a network and the resolution it can make).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gantune.documents import Document, format_document, read_document
from gantune.errors import ConfigError
from gantune.problems import complaint, listed, model_problems, nearest

__all__ = [
    "RESOLUTIONS",
    "DataConfig",
    "DiscriminatorConfig",
    "EmaConfig",
    "GeneratorConfig",
    "GradientPenaltyConfig",
    "NetworkConfig",
    "PenaltiesConfig",
    "R1Config",
    "TrialConfig",
    "WeightClipConfig",
    "absolute_source",
    "dump_config",
    "load_config",
    "make_config",
    "nearest",
]

RESOLUTIONS: dict[str, tuple[int, ...] | None] = {
    "dcgan": (16, 32, 64, 128),
    "dcgan28": (28,),
    "mlp": None,  # points, not images
}
"""The image sizes, in pixels, that each network makes; ``None`` for one that makes points."""

_LAYOUTS = ("grid", "ring")  # of gaussians

Rate = Annotated[float, Field(gt=0, le=10)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Interval = Annotated[int, Field(ge=1, le=1024)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class DataConfig(_Part):
    """Where the real images come from, and in what form they are learned."""

    source: str = Field(default="digits", min_length=1)
    """``digits``, ``gaussians:grid``, ``gaussians:ring``, or a path: a folder or zip of images, an
    ``.npy`` or ``.npz`` file, a folder of IDX files (MNIST) or of CIFAR-10 batches."""
    key: str | None = None
    """The array of an ``.npz`` file that holds the images; ``null``: the one that looks like it."""
    split: Literal["train", "test"] = "train"
    """Which part of a source that comes in two parts (IDX, CIFAR-10)."""
    resolution: Literal["auto"] | Annotated[int, Field(ge=4, le=1024)] = "auto"
    """Side of the square images, pixels; ``auto``: the size, of those that the network makes, that
    is nearest above the source's own."""
    colour: Literal["auto", "gray", "rgb"] = "auto"
    """Channels that are learned; ``auto``: the source's own."""
    flip: bool = False
    """Mirror half of the real images left to right, on the device."""

    @property
    def is_points(self) -> bool:
        """Whether the source gives points in the plane, not images."""
        return self.source.partition(":")[0] == "gaussians"


class NetworkConfig(_Part):
    """The architecture of both players."""

    name: Literal["dcgan", "dcgan28", "mlp"] = "dcgan"
    """``dcgan`` (Radford et al. 2015; 16 to 128 pixels), ``dcgan28`` (a dense layer and transposed
    5x5 convolutions; 28 pixels), ``mlp`` (points in the plane)."""
    width: int = Field(default=64, ge=4, le=1024)
    """Channels of the layer nearest the image; layers further in have multiples of it. For ``mlp``
    the units of each hidden layer."""
    latent: int = Field(default=100, ge=1, le=4096)
    """Dimensions of the latent vector, drawn from a standard normal distribution."""


class GeneratorConfig(_Part):
    """Adam for the generator (Kingma and Ba 2015)."""

    lr: Rate = 2e-4
    """Learning rate. Radford et al. 2015: 2e-4."""
    beta1: Beta = 0.5
    """Decay of the first moment, in [0, 1). Radford et al. 2015: 0.5."""
    beta2: Beta = 0.999
    """Decay of the second moment, in [0, 1)."""


class DiscriminatorConfig(_Part):
    """Adam for the discriminator, how often it steps, and its normalisation."""

    lr: Rate = 2e-4
    """Learning rate. Radford et al. 2015: 2e-4."""
    beta1: Beta = 0.5
    """Decay of the first moment, in [0, 1)."""
    beta2: Beta = 0.999
    """Decay of the second moment, in [0, 1)."""
    steps: int = Field(default=1, ge=1, le=100)
    """Discriminator steps per generator step. Gulrajani et al. 2017: 5."""
    norm: Literal["none", "batch", "spectral"] = "none"
    """``batch``: Ioffe and Szegedy 2015, as in DCGAN; ``spectral``: Miyato et al. 2018."""


class WeightClipConfig(_Part):
    """Clips every weight of the critic after each of its steps (Arjovsky et al. 2017)."""

    limit: float = Field(default=0.01, gt=0, le=10)
    """Largest absolute weight."""


class GradientPenaltyConfig(_Part):
    """weight * (|grad D| - 1)^2 between real and generated images (Gulrajani et al. 2017, eq. 3)"""

    weight: float = Field(default=10.0, ge=0, le=10_000)
    """Weight of the penalty."""
    interval: Interval = 1
    """Discriminator steps from one penalty to the next; the weight is multiplied by it."""


class R1Config(_Part):
    """weight / 2 * |grad D|^2 on real images (Mescheder et al. 2018, eq. 9)."""

    weight: float = Field(default=10.0, ge=0, le=10_000)
    """Weight of the penalty, gamma in the paper."""
    interval: Interval = 16
    """Discriminator steps from one penalty to the next; the weight is multiplied by it (lazy
    regularisation, Karras et al. 2020)."""


class PenaltiesConfig(_Part):
    """Regularisers of the discriminator, by name; several may act at once. Default: ``none``."""

    weight_clip: WeightClipConfig | None = None
    gradient_penalty: GradientPenaltyConfig | None = None
    r1: R1Config | None = None

    @model_validator(mode="before")
    @classmethod
    def _none(cls, given: Any) -> Any:
        return {} if given is None or given == "none" else given


class EmaConfig(_Part):
    """Exponential moving average of the generator's weights; samples and scores are its own."""

    half_life: float = Field(default=10.0, ge=0, le=100_000)
    """Half-life, kimg; 0: no average. Karras et al. 2020: 10 kimg."""
    ramp: float = Field(default=0.05, gt=0, le=1)
    """The half-life is at most this share of the images seen so far (Karras et al. 2020: 0.05)."""


class TrialConfig(_Part):
    """One run of GAN training, whole: what ``best.yaml`` holds and what training takes."""

    data: DataConfig = DataConfig()
    kimg: float = Field(default=40.0, gt=0, le=1_000_000)
    """Length of the run: thousands of real images shown to the discriminator."""
    tick_kimg: float = Field(default=1.0, gt=0, le=1000)
    """Interval of health signals, kimg."""
    network: NetworkConfig = NetworkConfig()
    loss: Literal["minimax", "vanilla", "wgan", "hinge", "lsgan"] = "vanilla"
    """``minimax``: the saturating original, and ``vanilla``: its non-saturating form (Goodfellow et
    al. 2014); ``wgan`` (Arjovsky et al. 2017); ``hinge`` (Lim and Ye 2017); ``lsgan`` (Mao et al.
    2017)."""
    penalties: PenaltiesConfig = PenaltiesConfig()
    batch_size: int = Field(default=64, ge=2, le=65_536)
    """Real images in each discriminator step."""
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    ema: EmaConfig = EmaConfig()
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """``bf16``: autocast of the networks to bfloat16, weights and losses stay fp32; ``auto``: bf16
    where the device computes in it natively."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of weights, latents and the order of the images."""

    @model_validator(mode="after")
    def _agree(self) -> TrialConfig:
        layout = self.data.source.partition(":")[2] if self.data.is_points else ""
        if layout not in ("", *_LAYOUTS):
            close = (own for own in _LAYOUTS if nearest(layout, [own]))
            meant = (f" (did you mean 'gaussians:{own}'?)" for own in close)
            way_out = next(meant, f"; known: {listed(_LAYOUTS)}")
            raise complaint(f"gaussians have no layout {layout!r}{way_out}", "data.source")
        sizes = RESOLUTIONS[self.network.name]
        if self.data.is_points != (sizes is None):
            kind = "points: use 'mlp'" if self.data.is_points else "images: use 'dcgan'"
            raise complaint(
                f"network {self.network.name!r} cannot learn {self.data.source!r}, which gives "
                f"{kind}",
                "network.name",
            )
        size = self.data.resolution
        if sizes is not None and size != "auto" and size not in sizes:
            fitting = [name for name, made in RESOLUTIONS.items() if made and size in made]
            way_out = f"; network {fitting[0]!r} makes {size}" if fitting else ""
            raise complaint(
                f"network {self.network.name!r} makes {listed(sizes)} pixels, not {size}{way_out}",
                "data.resolution",
            )
        return self


def make_config(tree: Mapping[str, Any], document: Document | None = None) -> TrialConfig:
    """A config from a plain tree; raises ``ConfigError`` with every problem in it."""
    try:
        return TrialConfig.model_validate(tree)
    except ValidationError as error:
        report = (document or Document(tree)).problem
        raise ConfigError(model_problems(error, TrialConfig, report)) from None


def load_config(path: Path | str) -> TrialConfig:
    """Reads a config file such as ``best.yaml``; raises ``ConfigError`` with every problem in it.

    A relative data path is taken from the file's own folder.
    """
    document = read_document(path)
    if not isinstance(document.tree, dict):
        raise ConfigError([document.problem((), "not a training configuration (no mapping)")])
    if "trial" in document.tree:
        message = "this is a space, not one training configuration: run it with `gantune search`"
        raise ConfigError([document.problem(("trial",), message)])
    config = make_config(document.tree, document)
    source = absolute_source(config.data.source, Path(path).parent)
    data = config.data.model_copy(update={"source": source})
    return config.model_copy(update={"data": data})


def dump_config(config: TrialConfig) -> str:
    """The whole config as YAML text, every value written out."""
    tree = config.model_dump()
    tree["penalties"] = {k: v for k, v in tree["penalties"].items() if v is not None}
    return format_document(tree)


def absolute_source(source: str, folder: Path) -> str:
    """A data source that is a path, absolute from ``folder``; a built-in one as it is."""
    if source in ("", "digits") or source.partition(":")[0] == "gaussians":
        return source
    try:
        return str((folder / Path(source).expanduser()).resolve())
    except (OSError, RuntimeError, ValueError):  # a name no file can have: reading it will say so
        return source
