"""``train``: one config, outside any search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer import Argument, Option

from gantune.cli.console import Device, make_console, typed_command
from gantune.errors import RunError
from gantune.io.files import explain_write_errors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantune.config import AnyConfig, TrialConfig


def train(
    config: Config = None,
    start_from: From = None,
    kimg: TrainKimg = None,
    resume: Resume = False,
    out: TrainFolder = None,
    device: Device = "auto",
) -> None:
    """Train one config, guarded and scored as in a search."""
    from gantune.config import ExternalConfig, load_any_config, make_config
    from gantune.report.selection import find_checkpoint, find_config, start_folder
    from gantune.report.terminal.live import Terminal
    from gantune.trial.external.train import train_own
    from gantune.trial.train import train as train_config

    # What goes on needs no start any more; it may be gone.
    start = find_checkpoint(start_from, must_exist=not resume) if start_from else None
    if config is not None:
        path, default = find_config(config)
        chosen: AnyConfig = load_any_config(path)
    elif start is not None:
        default = start_folder(start)
        chosen = _own_config(start, out or default, resume)
    else:
        raise typer.BadParameter("a CONFIG is needed, or a checkpoint to start --from")
    is_own = isinstance(chosen, ExternalConfig)
    if is_own and start is not None:
        raise typer.BadParameter("--from: a trainer of one's own begins as it likes; leave it out")
    if isinstance(chosen, ExternalConfig):
        chosen = chosen.replaced(kimg=kimg)
    elif kimg is not None:
        chosen = make_config({**chosen.model_dump(), "kimg": kimg})
    folder = out or default
    run = default.parent if (default.parent / "run.json").exists() else None
    try:
        with Terminal(make_console()) as terminal:
            if isinstance(chosen, ExternalConfig):
                outcome = train_own(
                    chosen, out=folder, resume=resume, device=device, run=run, observer=terminal
                )
            else:
                outcome = train_config(
                    chosen,
                    out=folder,
                    resume=resume,
                    start_from=start,
                    device=device,
                    run=run,
                    observer=terminal,
                )
    except KeyboardInterrupt:
        again = typed_command().removesuffix(" --resume")
        has_checkpoint = (folder / ("last" if is_own else "last.pt")).exists()
        print(f"stopped; {f'go on with: {again} --resume' if has_checkpoint else 'nothing kept'}")
        raise typer.Exit(130) from None
    if outcome.ending != "completed":
        raise typer.Exit(1)
    if is_own:
        print(f"what its trainer saved at the best rung: {folder / 'best'}")
    else:
        _say_next(folder)


def _say_next(folder: Path) -> None:
    neighbours = folder / "neighbours.png"
    if neighbours.exists():
        print(f"its samples beside the nearest training images: {neighbours}")
    print(f"sample it with: gantune sample {folder / 'best.pt'} -n 64 -o grid.png")


def _own_config(start: Path, folder: Path, resume: bool) -> TrialConfig:
    """The config that a checkpoint was trained with; of a training that goes on, its own."""
    from gantune.gan.checkpoint import load_checkpoint, load_weights

    return load_checkpoint(folder / "last.pt").config if resume else load_weights(start).config


# Arguments and options of ``train`` and ``sample``.


Config = Annotated[
    str | None,
    Argument(
        metavar="CONFIG",
        help="A config such as best.yaml, or RUN#NUMBER; with --from its own by default.",
        show_default=False,
    ),
]


From = Annotated[
    str | None,
    Option(
        "--from",
        metavar="CHECKPOINT",
        help="Start from the weights of a best.pt or last.pt, or of RUN#NUMBER.",
        show_default="fresh weights",
    ),
]


TrainKimg = Annotated[
    float | None, Option(metavar="K", help="Length of the run, kimg.", show_default="the config's")
]


Resume = Annotated[bool, Option("--resume", help="Go on from its last.pt.")]


TrainFolder = Annotated[
    Path | None,
    Option(
        metavar="DIR",
        help="Its folder.",
        show_default="CONFIG without .yaml, or from-NAME beside the checkpoint",
    ),
]


Checkpoint = Annotated[
    str, Argument(metavar="CHECKPOINT", help="A best.pt or last.pt, or RUN#NUMBER.")
]


Count = Annotated[int, Option("-n", min=1, max=10_000, metavar="N", help="How many.")]


Class = Annotated[
    int | None,
    Option(
        "--class",
        min=0,
        metavar="C",
        help="Only this class, by its number; for a conditional generator.",
        show_default="as often as in the data",
    ),
]


GridFile = Annotated[Path, Option("--out", "-o", metavar="FILE", help="The picture, a PNG.")]


LatentSeed = Annotated[int, Option(min=0, metavar="S", help="Seed of the latents.")]


# ``sample``: pictures from a trained generator.


def sample(
    checkpoint: Checkpoint,
    number: Count = 64,
    class_number: Class = None,
    out: GridFile = Path("grid.png"),
    seed: LatentSeed = 0,
) -> None:
    """Draw a grid of samples from a trained generator."""
    import torch

    from gantune.gan.checkpoint import load_generator
    from gantune.gan.sampling import sample_images, save_grid
    from gantune.report.selection import find_checkpoint

    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"-o {out}: the picture is a PNG; give a name that ends in .png")
    generator = load_generator(find_checkpoint(checkpoint))
    labels = None if class_number is None else _labels(generator, number, class_number)
    images = sample_images(generator, number, torch.Generator().manual_seed(seed), labels)
    with explain_write_errors(out):
        save_grid(images, out)
    print(f"wrote {out}")


def _labels(generator: nn.Module, number: int, class_number: int) -> Tensor:
    """So many times one class, int64 [number]. Raises ``RunError`` where there is no such class."""
    import torch

    classes = cast(int, generator.classes)
    if classes == 0:
        raise RunError(
            f"--class {class_number}: this generator was trained without classes; leave --class "
            "out, or train one with network.conditional true"
        )
    if class_number >= classes:
        raise RunError(f"--class {class_number}: the classes are 0 to {classes - 1}")
    return torch.full((number,), class_number)
