"""``gantune train``: one config outside any search; ``gantune sample``: samples as a picture."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer import Argument, Option

from gantune.cli.console import Trust, interrupt_on_signals, make_console, typed_command
from gantune.cli.data_settings import DataSettings, found_again, read_settings, with_data
from gantune.errors import MissingSourceError, RunError, TrainingError
from gantune.io.allocator import keep_freed_memory
from gantune.io.files import explain_write_errors
from gantune.io.formatting import count, first_names, whole_number

if TYPE_CHECKING:
    from gantune.config import AnyConfig


def train(
    config: Annotated[
        str | None,
        Argument(
            metavar="CONFIG",
            help="A config such as best.yaml, or RUN#NUMBER; with --from its own by default.",
            show_default=False,
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        Option(
            "--from",
            metavar="CHECKPOINT",
            help="Start from the weights of a best.pt or last.pt, or of RUN#NUMBER.",
            show_default="fresh weights",
        ),
    ] = None,
    kimg: Annotated[
        float | None,
        Option(metavar="K", help="Length of the run, kimg.", show_default="the config's"),
    ] = None,
    data: Annotated[
        str | None,
        Option(
            metavar="SOURCE",
            help="Images to learn, or their new place.",
            show_default="the config's",
        ),
    ] = None,
    settings: DataSettings = None,
    resume: Annotated[bool, Option("--resume", help="Resume from its last.pt.")] = False,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Its folder.",
            show_default="CONFIG without .yaml, or from-NAME beside the checkpoint",
        ),
    ] = None,
    device: Annotated[
        str,
        Option(
            metavar="NAME",
            help="auto (a GPU, else the CPU), cpu, or cuda:1; cuda:0,1: both share each batch.",
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        Option(metavar="N", help="Threads on the CPU.", show_default="one for each free core"),
    ] = None,
    trust: Trust = False,
) -> None:
    """Train one config, guarded and scored as in a search."""
    from gantune.config import ExternalConfig, load_any_config, make_config
    from gantune.report.selection import find_checkpoint, find_config, is_of_run, start_folder
    from gantune.report.terminal.live import Terminal
    from gantune.trial.checkpoint_files import holds_files
    from gantune.trial.train import remember_trainer, train_config

    # A training that resumes does not read its start again, which may no longer exist.
    start = find_checkpoint(start_from, must_exist=not resume) if start_from else None
    if config is not None:
        path, default = find_config(config)
        chosen: AnyConfig = load_any_config(path)
        if not is_of_run(path):
            remember_trainer(chosen)
    elif start is not None:
        default = start_folder(start)
        from gantune.gan.checkpoint import load_checkpoint, load_weights

        last = (out or default) / "last.pt"
        chosen = load_checkpoint(last).config if resume else load_weights(start).config
    else:
        raise typer.BadParameter("a CONFIG is needed, or a checkpoint to start --from")
    is_external = isinstance(chosen, ExternalConfig)
    if is_external and start is not None:
        raise typer.BadParameter(
            "--from: your own trainer chooses its initial weights itself; leave it out"
        )
    if isinstance(chosen, ExternalConfig):
        chosen = chosen.replaced(kimg=kimg)
    elif kimg is not None:
        chosen = make_config({**chosen.model_dump(), "kimg": kimg})
    folder = out or default
    if data is None:
        of_trial = start if config is None else path if path.name == "config.yaml" else None
        chosen = found_again(chosen, of_trial, folder if resume else None)
    if data is not None or settings:
        chosen = with_data(chosen, data, read_settings(settings))
    run = default.parent if (default.parent / "run.json").exists() else None
    keep_freed_memory()
    with interrupt_on_signals() as received:
        try:
            with Terminal(make_console()) as terminal:
                outcome = train_config(
                    chosen,
                    out=folder,
                    resume=resume,
                    start_from=start,
                    device=device,
                    threads=threads,
                    run=run,
                    observer=terminal,
                )
        except MissingSourceError as error:
            if data is not None:
                raise
            raise MissingSourceError(
                f"{start if config is None else path}: data.source: {error}; if the images moved, "
                "name their new place with --data"
            ) from None
        except KeyboardInterrupt:
            print(f"stopped; {_what_is_kept(folder, is_external)}")
            raise typer.Exit(received.exit_code) from None
        except TrainingError as error:
            raise TrainingError(f"{error}\n{_what_is_kept(folder, is_external)}") from None
    if outcome.ending != "completed":
        if outcome.verdict is not None and not is_external and config is not None:
            given = [
                ("--kimg", kimg),
                ("--data", data),
                *(("--set", one) for one in settings or ()),
            ]
            words = [f"{name} {quote(str(value))}" for name, value in given if value is not None]
            print(" ".join(["find a change that holds: gantune stabilize", quote(config), *words]))
        raise typer.Exit(1)
    if is_external:
        if holds_files(folder / "best"):
            print(f"what its trainer saved at the best rung: {folder / 'best'}")
        return
    neighbours = folder / "neighbours.png"
    if neighbours.exists():
        print(f"its samples beside the nearest training images: {neighbours}")
    print(f"sample it with: gantune sample {folder / 'best.pt'} -n 64 -o grid.png")


def _what_is_kept(folder: Path, is_external: bool) -> str:
    """How a training that has stopped is resumed, if it can be."""
    if not (folder / ("last" if is_external else "last.pt")).exists():
        return "there is no checkpoint yet, so the next start is from scratch"
    return f"resume with: {typed_command().removesuffix(' --resume')} --resume"


def sample(
    checkpoint: Annotated[
        str,
        Argument(
            metavar="CHECKPOINT",
            help="A best.pt or last.pt, RUN#NUMBER, or RUN for its winner's best training.",
        ),
    ],
    number: Annotated[int, Option("-n", min=1, max=10_000, metavar="N", help="How many.")] = 64,
    class_name: Annotated[
        str | None,
        Option(
            "--class",
            metavar="NAME",
            help="Only this class, by its name or number; for a conditional generator.",
            show_default="as often as in the data",
        ),
    ] = None,
    out: Annotated[Path, Option("--out", "-o", metavar="FILE", help="The picture, a PNG.")] = Path(
        "grid.png"
    ),
    seed: Annotated[int, Option(min=0, metavar="S", help="Seed of the latents.")] = 0,
    trust: Trust = False,
) -> None:
    """Draw a grid of samples from a trained generator."""
    import torch

    from gantune.gan.checkpoint import load_weights, make_generator
    from gantune.gan.sampling import sample_images, save_grid
    from gantune.report.selection import find_winning_checkpoint

    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"-o {out}: the picture is a PNG; give a name that ends in .png")
    path = find_winning_checkpoint(checkpoint)
    weights = load_weights(path)
    generator = make_generator(weights, path)
    labels, drawn = None, ""
    if class_name is not None:
        data = weights.config.data
        label = find_class(class_name, cast(int, generator.classes), data.class_names)
        labels = torch.full((number,), label)
        name = data.class_names[label] if data.class_names else str(label)
        named = f", {name}" if name != str(label) else ""
        drawn = f": {count(number, 'sample')} of class {label}{named}"
    images = sample_images(generator, number, torch.Generator().manual_seed(seed), labels)
    with explain_write_errors(out):
        save_grid(images, out)
    source = "" if str(path) == checkpoint else f" from {path}"
    print(f"wrote {out}{drawn}{source}")


def find_class(wanted: str, classes: int, names: tuple[str, ...]) -> int:
    """The number of the class of this name, else of this number. Raises ``RunError``."""
    if classes == 0:
        raise RunError(
            f"--class {wanted}: this generator was trained without classes; leave "
            "--class out, or train one with network.conditional true"
        )
    if wanted in names:
        return names.index(wanted)
    if (number := whole_number(wanted)) is not None and number < classes:
        return number
    known = f"the classes are 0 to {classes - 1}"
    if names:
        known += f": {first_names(names, 20)}"
    from gantune.io.validation import did_you_mean

    raise RunError(f"--class {wanted}: {known}{did_you_mean(wanted, names)}")
