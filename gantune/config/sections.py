"""The sections of a training config: data, network, regularisation, optimization."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Rate = Annotated[float, Field(gt=0, le=10)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Interval = Annotated[int, Field(ge=1, le=1024)]
Weight = Annotated[float, Field(ge=0, le=10_000)]
AutoWeight = Literal["auto"] | Weight


class ConfigModel(BaseModel):
    """Base of sections and rules: frozen, strict, without unknown names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


# ---- Data ----------------------------------------------------------------------------------------


LAYOUTS = ("grid", "ring")
"""Layouts of the source ``gaussians``."""


Part = Literal["train", "val", "test", "unlabeled", "extra"]


Folders = Literal["auto", "classes", "none"]


class DataConfig(ConfigModel):
    """Where the real images come from, and in which format they are trained on."""

    source: str = Field(default="digits", min_length=1)
    """``digits``, ``gaussians:grid``, ``gaussians:ring``, or a path: a folder or zip of images, an
    ``.npy`` or ``.npz`` file, a folder of IDX files (MNIST) or of CIFAR-10 batches."""
    key: str | None = None
    """The images' array in an ``.npz`` file; ``null``: the array that looks like images."""
    split: Part = "train"
    """Part of a source that has several: IDX and CIFAR-10 have ``train`` and ``test``; a folder or
    zip has those that its folders name (``train/``, ``val/``, ``test/``, ``unlabeled/``,
    ``extra/``), an ``.npz`` file those that its arrays name (``x_train``, ``x_test``)."""
    folders: Folders = "auto"
    """What the folders of a source mean. ``auto``: parts, pieces of one set, masks beside images or
    classes, by their names; ``classes``: classes, whatever their names are, and not those of
    ``dataset.json``; ``none``: as ``auto``, but they give no classes."""
    held_out: Literal["auto"] | Part | Annotated[float, Field(ge=0, le=0.5)] = "auto"
    """Share of the images that is held out: always the same images, never trained on, used only by
    scores. ``train``, ``val``, ``test`` and so on: that part of the source. ``auto``: the test
    part, else the val part, if the source has one and ``split`` is ``train``, else none; 0:
    none."""
    resolution: Literal["auto"] | Annotated[int, Field(ge=4, le=1024)] = "auto"
    """Side of the square images, pixels; ``auto``: the smallest size that the network supports and
    that is not below the source's own."""
    colour: Literal["auto", "gray", "rgb"] = "auto"
    """Colour of the images; ``auto``: the source's own."""
    classes: Literal["auto"] | Annotated[int, Field(ge=0, le=100_000)] = "auto"
    """Number of classes, 0 without labels; ``auto``: the source's own. Only a conditional network
    uses them."""
    class_names: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The classes' names in the order of their numbers; filled in when the images are read."""
    flip: bool = False
    """Mirror half of the real images left to right, on the device."""

    @property
    def is_points(self) -> bool:
        """Whether the source gives points in the plane, not images."""
        return self.source.partition(":")[0] == "gaussians"


# ---- Networks ------------------------------------------------------------------------------------


DiscriminatorNorm = Literal["none", "batch", "layer", "instance", "spectral"]
GeneratorNorm = Literal["none", "batch", "spectral"]

RESOLUTIONS: dict[str, tuple[int, ...] | None] = {
    "dcgan": (16, 32, 64, 128, 256),
    "dcgan28": (28,),
    "resnet": (32, 64, 128, 256),
    "r3gan": (32, 64, 128, 256),
    "mlp": None,  # points, not images
}
"""Image sizes that each network makes, pixels; ``None`` for a network that makes points."""

_OF_IMAGES: tuple[DiscriminatorNorm, ...] = ("none", "batch", "layer", "instance", "spectral")
DISCRIMINATOR_NORMS: dict[str, tuple[DiscriminatorNorm, ...]] = {
    "dcgan": _OF_IMAGES,
    "dcgan28": _OF_IMAGES,
    "resnet": _OF_IMAGES,
    "r3gan": ("none", "spectral"),  # its initialisation replaces normalisation
    "mlp": ("none", "batch", "layer", "spectral"),  # points have no pixels to normalise over
}
"""Normalisations that each network's discriminator supports."""

GENERATOR_NORMS: dict[str, tuple[GeneratorNorm, ...]] = {
    "dcgan": ("batch", "none", "spectral"),
    "dcgan28": ("batch", "none", "spectral"),
    "resnet": ("batch", "none", "spectral"),
    "r3gan": ("none", "spectral"),
    "mlp": ("none", "batch", "spectral"),
}
"""Normalisations that each network's generator supports; the first one is ``auto``."""


class NetworkConfig(ConfigModel):
    """The architecture of both players."""

    name: Literal["dcgan", "dcgan28", "resnet", "r3gan", "mlp"] = "dcgan"
    """``dcgan`` (Radford et al. 2015; 16 to 256 pixels), ``dcgan28`` (a dense layer and transposed
    5x5 convolutions; 28 pixels), ``resnet`` (Gulrajani et al. 2017, Miyato et al. 2018; 32 to 256
    pixels), ``r3gan`` (Huang et al. 2024: grouped convolutions in residual blocks without
    normalisation; 32 to 256 pixels), ``mlp`` (points in the plane)."""
    width: int = Field(default=64, ge=4, le=1024)
    """Channels of the layer nearest the image; layers further in have multiples of it. ``resnet``
    at 32 pixels has the same number in all layers: 4 times this in the generator, twice this in
    the discriminator. For ``mlp`` it is the number of units in each hidden layer."""
    latent: int = Field(default=100, ge=1, le=4096)
    """Dimensions of the latent vector, drawn from a standard normal distribution."""
    conditional: Literal["auto"] | bool = False
    """Whether both players get each image's class: the generator by conditional batch norm
    (Dumoulin et al. 2017) or, without batch norm, by a vector that is appended to the latent one;
    the discriminator by projection (Miyato and Koyama 2018). ``auto``: if the data has labels."""


# ---- Regularisation ------------------------------------------------------------------------------


class PenaltyConfig(ConfigModel):
    """Base of all penalties that are added to a loss."""

    weight: AutoWeight = 10.0
    """Weight of the penalty."""
    interval: Interval = 1
    """Steps from one penalty to the next; the weight is multiplied by it, so that the total effect
    stays the same (lazy regularisation, Karras et al. 2020)."""


class WeightClipConfig(ConfigModel):
    """Clips every weight of the critic after each of its steps (Arjovsky et al. 2017)."""

    limit: float = Field(default=0.01, gt=0, le=10)
    """Largest absolute weight."""


class GradientPenaltyConfig(PenaltyConfig):
    """weight * (|grad D| - 1)^2 between real and generated images (Gulrajani et al. 2017, eq. 3)"""

    weight: Weight = 10.0
    """Weight of the penalty."""
    one_sided: bool = False
    """Penalise only norms above 1 (Gulrajani et al. 2017, section 4; Petzka et al. 2018)."""


class DraganConfig(PenaltyConfig):
    """weight * (|grad D| - 1)^2 around real images (Kodali et al. 2017, section 2.3)."""

    weight: Weight = 10.0
    """Weight of the penalty."""
    noise: float = Field(default=0.5, gt=0, le=10)
    """The noise is uniform in [0, 1), times this many standard deviations of the batch."""


class R1Config(PenaltyConfig):
    """weight / 2 * |grad D|^2 on real images (Mescheder et al. 2018, eq. 9)."""

    weight: AutoWeight = 10.0
    """Weight of the penalty, gamma in the paper; ``auto``: 0.0002 * resolution^2 / batch size
    (Karras et al. 2020, StyleGAN2-ADA)."""
    interval: Interval = 16
    """Discriminator steps from one penalty to the next; the weight is multiplied by it (lazy
    regularisation, Karras et al. 2020)."""


class R2Config(R1Config):
    """weight / 2 * |grad D|^2 on generated images (Mescheder et al. 2018, eq. 10)."""


class R1R2Config(R1Config):
    """``r1`` and ``r2`` with one weight (Huang et al. 2024, section 2.2)."""

    interval: Interval = 1
    """Discriminator steps from one penalty to the next; the weight is multiplied by it.
    R3GAN: 1."""


class LecamConfig(PenaltyConfig):
    """weight * (|D(real) - a|^2 + |D(fake) - b|^2), where ``a`` and ``b`` are running means of D on
    generated and on real images (Tseng et al. 2021, eq. 4)."""

    weight: Weight = 0.3
    """Weight of the penalty. Tseng et al. 2021: 0.3 for BigGAN, 3e-7 to 0.01 for StyleGAN2."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Decay of the running means at each step of the discriminator."""
    start: float = Field(default=0.0, ge=0, le=100_000)
    """Kimg at which the penalty starts, so that the running means can settle first."""


class ConsistencyConfig(PenaltyConfig):
    """weight * |D(x) - D(T(x))|^2 on real images, where T flips and shifts (Zhang et al. 2020,
    CR-GAN, eq. 3)."""

    weight: Weight = 10.0
    """Weight of the penalty."""
    shift: float = Field(default=0.125, ge=0, le=0.5)
    """Largest shift as a share of the image's side; Zhang et al. 2020: 4 of 32 pixels."""


class OrthogonalConfig(PenaltyConfig):
    """weight * |W^T W * (1 - I)|^2 over every weight matrix W: filters become orthogonal, and
    their norms stay free (Brock et al. 2019, BigGAN, eq. 3)."""

    weight: Weight = 1e-4
    """Weight of the penalty."""
    player: Literal["generator", "discriminator", "both"] = "discriminator"
    """The player whose weights are regularised. BigGAN: the generator."""


class PenaltiesConfig(ConfigModel):
    """Regularisers by name; several can be combined. Default: ``none``."""

    weight_clip: WeightClipConfig | None = None
    gradient_penalty: GradientPenaltyConfig | None = None
    dragan: DraganConfig | None = None
    r1: R1Config | None = None
    r2: R2Config | None = None
    r1_r2: R1R2Config | None = None
    lecam: LecamConfig | None = None
    consistency: ConsistencyConfig | None = None
    orthogonal: OrthogonalConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _none(cls, given: Any) -> Any:
        return {} if given is None or given == "none" else given


class AugmentConfig(ConfigModel):
    """Differentiable augmentation of real and generated images alike, for both players' steps
    (Zhao et al. 2020, DiffAugment). Default: ``none``."""

    colour: bool = False
    """Brightness, saturation (of colour images) and contrast."""
    translation: bool = False
    """Shifts by up to an eighth of the side; the edge is filled with mid-gray."""
    cutout: bool = False
    """Fills a square of half the side, at a random place, with mid-gray."""
    probability: Literal["adaptive"] | Annotated[float, Field(ge=0, le=1)] = 1.0
    """Probability with which each of them is applied to an image. DiffAugment: 1. ``adaptive``:
    starts at 0 and follows the sign of the discriminator's logits on real images (Karras et al.
    2020, ADA)."""
    target: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """For ``adaptive``: the mean sign above which the probability rises. ADA: 0.6."""
    speed: float = Field(default=500.0, gt=0, le=100_000)
    """For ``adaptive``: kimg in which the probability can rise from 0 to 1. ADA: 500."""

    @property
    def is_on(self) -> bool:
        """Whether any transformation is applied."""
        return self.colour or self.translation or self.cutout

    @model_validator(mode="before")
    @classmethod
    def _none(cls, given: Any) -> Any:
        return {} if given is None or given == "none" else given


class InstanceNoiseConfig(ConfigModel):
    """Gaussian noise on every image that the discriminator sees, which fades out during the run
    (Soenderby et al. 2017, Arjovsky and Bottou 2017)."""

    std: float = Field(default=0.0, ge=0, le=10)
    """Standard deviation at the start, for images in [-1, 1]; 0: none."""
    span: float = Field(default=0.5, gt=0, le=1)
    """Share of the run in which the noise falls linearly to 0."""


# ---- Optimization --------------------------------------------------------------------------------


class OptimizerConfig(ConfigModel):
    """The optimizer of one player."""

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    """``adam`` (Kingma and Ba 2015), ``adamw`` (Loshchilov and Hutter 2019), ``rmsprop`` (Tieleman
    and Hinton 2012; the choice of Arjovsky et al. 2017 for WGAN), ``sgd``."""
    lr: Rate = 2e-4
    """Learning rate. Radford et al. 2015: 2e-4."""
    beta1: Beta = 0.5
    """Decay of the first moment, in [0, 1); for ``sgd`` its momentum. Radford et al. 2015: 0.5.
    ``rmsprop`` has none."""
    beta2: Beta = 0.999
    """Decay of the second moment, in [0, 1); ``sgd`` has none."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Weight decay: decoupled from the gradient in ``adamw``, added to it in the others."""
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Clips the norm of the whole gradient to this value (Pascanu et al. 2013)."""


class GeneratorConfig(OptimizerConfig):
    """The generator's optimizer and normalisation."""

    norm: Literal["auto"] | GeneratorNorm = "auto"
    """``batch``: Ioffe and Szegedy 2015; ``spectral``: Miyato et al. 2018 (SAGAN's, Zhang et al.
    2019); ``auto``: the network's default, batch norm in ``dcgan``, ``dcgan28`` and ``resnet``."""


class DiscriminatorConfig(OptimizerConfig):
    """The discriminator's optimizer, steps and normalisation."""

    steps: int = Field(default=1, ge=1, le=100)
    """Discriminator steps per generator step. Gulrajani et al. 2017: 5."""
    norm: DiscriminatorNorm = "none"
    """``batch``: Ioffe and Szegedy 2015, as in DCGAN; ``layer``: Ba et al. 2016, as in WGAN-GP;
    ``instance``: Ulyanov et al. 2016; ``spectral``: Miyato et al. 2018."""


class ScheduleConfig(ConfigModel):
    """How values change during the run.

    The learning rates follow the curve; with ``beta2_end``, ``penalty_end`` and
    ``ema_half_life_end`` these values do too, as in R3GAN (Huang et al. 2024, appendix D).
    """

    name: Literal["constant", "linear", "cosine"] = "constant"
    """The curve from the initial to the final value."""
    warmup: float = Field(default=0.0, ge=0, le=100_000)
    """Kimg in which the learning rates rise linearly from 0, with any curve."""
    span: float = Field(default=1.0, gt=0, le=1)
    """Share of the run in which the values change; after it they stay constant."""
    lr_end: float = Field(default=0.0, ge=0, le=1)
    """Both learning rates at the end, as a share of the initial ones."""
    beta2_end: Beta | None = None
    """``beta2`` of both players at the end; ``null``: constant."""
    penalty_end: Annotated[float, Field(ge=0, le=1000)] | None = None
    """The weights of all penalties at the end, as a share of the initial ones; ``null``:
    constant."""
    ema_half_life_end: Annotated[float, Field(ge=0, le=100_000)] | None = None
    """``ema.half_life`` at the end, kimg; ``null``: constant."""


class EmaConfig(ConfigModel):
    """Exponential moving average of the generator's weights; samples and scores come from it."""

    half_life: float = Field(default=10.0, ge=0, le=100_000)
    """Half-life, kimg; 0: no average. Karras et al. 2020: 10 kimg."""
    ramp: float = Field(default=0.05, gt=0, le=1)
    """The half-life is at most this share of the images seen so far (Karras et al. 2020: 0.05)."""
