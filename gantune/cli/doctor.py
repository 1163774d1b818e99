"""``gantune doctor``: whether this machine can run a search, and what to do where it cannot."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from gantune.cli.console import make_console
from gantune.cli.data_settings import DataSettings, data_config
from gantune.errors import GantuneError, first_line
from gantune.io.allocator import keep_freed_memory
from gantune.io.formatting import count, first_names, gib

if TYPE_CHECKING:
    from rich.console import Console

    from gantune.data.image_set import Unreadable

_STYLES = {"ok": "green", "warning": "yellow", "broken": "bold red"}
_LEAST_FREE_GIB = 2.0
_LEAST_ACCURACY = 0.97
_MOST_CLASSES = 50  # in the table
_FEW = 100  # images, from which nothing can be learned
_FEW_OF_CLASS = 10
_NAMED = 5  # classes in one line
_REINSTALL = "install gantune again from its source: pip install --force-reinstall --no-deps ."


def doctor(
    data: Annotated[
        str | None,
        Option(
            "--data",
            metavar="SOURCE",
            help="Say what is found there as well: images, classes, what is left out.",
            show_default="none",
        ),
    ] = None,
    settings: DataSettings = None,
) -> None:
    """Check versions, devices and folders; with --data also images.

    The exit code is 1 where something is broken.
    """
    if settings and data is None:
        raise typer.BadParameter("--set: says how --data is read; name that too")
    if data is not None:
        data_config(data, settings or ())  # a setting that is not valid is an error at once
    findings = examine(data=data, settings=settings or ())
    print_findings(make_console(), findings)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    state: Literal["ok", "warning", "broken"]
    found: str
    remedy: str = ""


def examine(
    runs: Path = Path("runs"), data: str | None = None, settings: Sequence[str] = ()
) -> list[Finding]:
    """Checks versions, devices, folders and the parts that break most often.

    ``runs``: the folder in which searches would write. A check that raises an unexpected error is a
    finding too. ``data``: a source of images to read, with ``settings`` such as ``data.key=x``.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        _packages,
        _cpu,
        _gpus,
        _torchmetrics,
        _inception,
        _classifier,
        _cache,
        partial(_folder, "runs", runs, lambda _: "go to another folder, or give searches --out"),
    ]
    if data is not None:
        checks.insert(0, partial(_data, data, settings))
    findings: list[Finding] = []
    for check in checks:
        what = getattr(check, "__name__", "runs").strip("_")
        try:
            findings += check()
        except GantuneError as error:  # it says what helps
            findings.append(Finding(what, "broken", str(error)))
        except Exception as error:
            findings.append(Finding(what, "broken", f"{type(error).__name__}: {error}", _REINSTALL))
    return findings


def print_findings(console: Console, findings: list[Finding]) -> None:
    """Prints a table of findings, then what to do, the worst first."""
    from rich.text import Text

    from gantune.report.terminal.tables import new_table

    table = new_table()
    table.add_column("", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("found", overflow="fold")
    for finding in findings:
        state = Text(finding.state, _STYLES[finding.state])
        table.add_row(state, Text(finding.what), Text(finding.found))
    console.print(table)
    console.print()
    order = list(reversed(_STYLES))
    wrong = [finding for finding in findings if finding.remedy]
    for finding in sorted(wrong, key=lambda finding: order.index(finding.state)):
        style = _STYLES[finding.state]
        console.print(Text.assemble((f"{finding.what}: ", style), finding.remedy), soft_wrap=True)
    if all(finding.state == "ok" for finding in findings):
        console.print("All is well.", style="green")


def _packages() -> Iterator[Finding]:
    """Python, gantune and its dependencies, each against its range of versions."""
    from importlib import metadata

    from packaging.requirements import Requirement

    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.system()}")
    yield Finding("gantune", "ok", metadata.version("gantune"))
    for text in metadata.requires("gantune") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        install = f"pip install '{requirement.name}{requirement.specifier}'"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding(requirement.name, "broken", "not installed", install)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding(requirement.name, "ok", version)
        else:
            yield Finding(requirement.name, "broken", f"{version}, outside its range", install)


def _cpu() -> Iterator[Finding]:
    from gantune.trial.cores import available_cores

    cores = count(available_cores(), "core")
    yield Finding("CPU", "ok", f"{cores} for this process, {_bf16('cpu')}")
    yield Finding("allocator", "ok", keep_freed_memory())


def _gpus() -> Iterator[Finding]:
    import torch

    from gantune.trial.devices import find_gpus, nvidia_driver_version

    gpus = find_gpus()
    if gpus.problem:
        state: Literal["ok", "warning"] = "ok" if gpus.is_hidden else "warning"
        found = f"torch cannot use a GPU here, so searches run on the CPU: {gpus.problem}"
        yield Finding("GPU", state, found, "" if gpus.is_hidden else gpus.remedy)
    elif not gpus.names:
        yield Finding("GPU", "ok", "none; searches run on the CPU")
    for index in range(len(gpus.names)):
        yield _gpu(index)
    if gpus.names:
        found = f"torch built for {torch.version.cuda}, driver {nvidia_driver_version()}"
        yield Finding("CUDA", "ok", found)


def _gpu(index: int) -> Finding:
    """Takes a little of a GPU's memory, which fails where another program has the GPU alone."""
    import torch

    from gantune.trial.devices import explain_gpu_error

    device = f"cuda:{index}"
    try:
        name = torch.cuda.get_device_name(index)
        free, total = torch.cuda.mem_get_info(index)
        found = f"{name}, {gib(free)} free of {gib(total)}, {_bf16(device)}"
    except RuntimeError as error:
        meaning = explain_gpu_error(str(error))
        remedy = "see whether nvidia-smi lists this GPU as sound"
        if meaning:
            remedy = f"{meaning}; end that program, or name another GPU with --device"
        return Finding(device, "broken", f"torch cannot use it: {first_line(error)}", remedy)
    return Finding(device, "ok", found)


def _bf16(device: str) -> str:
    import torch

    from gantune.gan.precision import has_native_bf16

    return "bf16 native" if has_native_bf16(torch.device(device)) else "no native bf16: fp32"


def _torchmetrics() -> Iterator[Finding]:
    """The import fails where torchvision or torch-fidelity was built for another torch."""
    from gantune.scores.extractors.inception import missing_torchmetrics

    if lack := missing_torchmetrics():
        yield Finding("torchmetrics.image.fid", "broken", lack.found, lack.remedy)
    else:
        yield Finding("torchmetrics.image.fid", "ok", "can be imported")


def _inception() -> Iterator[Finding]:
    """An optional extra: it may be missing, but an installed one must fit."""
    from gantune.scores.extractors import inception

    lack = inception.missing_inception()
    if inception.missing_packages():
        yield Finding("Inception", "ok", f"needed for a real FID alone: {lack}")
    elif inception.missing_torchmetrics():
        yield Finding("Inception", "broken", "needs torchmetrics.image.fid")
    elif lack:
        yield Finding("Inception", "broken", lack.found, lack.remedy)
    else:
        weights = inception.published_weights().path
        there = f"weights at {weights}" if weights.exists() else "weights not downloaded yet"
        yield Finding("Inception", "ok", f"can be imported, {there}")


def _classifier() -> Iterator[Finding]:
    """Loads and tries it: damaged files fail their checksums, wrong weights the digits."""
    import torch

    from gantune.config import DataConfig
    from gantune.data import load_images
    from gantune.errors import ScoreError
    from gantune.scores.extractors.digits import load_digits_classifier

    try:
        extractor = load_digits_classifier("")
    except ScoreError as error:
        yield Finding("digits classifier", "broken", str(error), _REINSTALL)
        return
    digits = load_images(DataConfig(resolution=32))
    with torch.inference_mode():
        predicted = extractor.classify(extractor.module(torch.tensor(digits.array)))
    assert predicted is not None and digits.labels is not None
    right = float((predicted.numpy() == digits.labels).mean())
    found = f"weights {extractor.weights_hash[:12]}, classifies {right:.1%} of the digits correctly"
    if right >= _LEAST_ACCURACY:
        yield Finding("digits classifier", "ok", found)
    else:
        yield Finding("digits classifier", "broken", found, _REINSTALL)


def _data(source: str, settings: Sequence[str]) -> Iterator[Finding]:
    """What a source holds: its images, classes, and what is not looked at."""
    from gantune.data import check_number, load_parts
    from gantune.errors import CacheError, DataError, UnreadableError

    try:
        images, held_out = load_parts(data_config(source, settings))
        check_number(images)
    except DataError as error:
        # What cannot be opened at all is not known; any other message says what to do.
        is_cache = isinstance(error, CacheError)
        is_closed = isinstance(error.__cause__, PermissionError) and not is_cache
        remedy = "let this user read it, or name another source" if is_closed else ""
        yield Finding("data", "broken", str(error), remedy)
        cause = error if isinstance(error, UnreadableError) else error.__cause__
        if isinstance(cause, UnreadableError):
            yield from _unreadable(cause.images)
        return
    yield Finding("data", "warning" if images.warnings else "ok", images.found)
    yield from _unreadable(images.unreadable)
    yield from _copies(images.copies)
    if not images.is_points and len(images) < _FEW:
        found = f"{len(images):,} images: too few to learn from"
        remedy = f"add images: {_FEW} or more, better thousands"
        yield Finding("data", "warning", found, remedy)
    sizes = images.class_sizes
    if few := [name for name, size in sizes.items() if size < _FEW_OF_CLASS]:
        named = first_names(few, _NAMED)
        found = f"{len(few):,} of {len(sizes):,} have fewer than {_FEW_OF_CLASS} images: {named}"
        remedy = "add images of these, leave them out, or put all images into one folder"
        yield Finding("classes", "warning", found, remedy)
    for index, (name, size) in enumerate(list(sizes.items())[:_MOST_CLASSES]):
        yield Finding(f"class {index}", "ok", f"{name}: {count(size, 'image')}")
    if (more := len(sizes) - _MOST_CLASSES) > 0:
        yield Finding(f"class {_MOST_CLASSES}...", "ok", f"and {more:,} more")
    if held_out is not None:
        yield Finding("held out", "warning" if held_out.warnings else "ok", held_out.found)
        yield from _unreadable(held_out.unreadable)


def _unreadable(images: Sequence[Unreadable]) -> Iterator[Finding]:
    """One finding for each reason, with all images: this is the whole list."""
    from gantune.data.image_set import by_reason, unreadable_remedy

    for why, names in by_reason(images).items():
        found = f"{count(len(names), 'image')} ({why}): {', '.join(names)}"
        yield Finding("unreadable", "warning", found, unreadable_remedy([why]))


def _copies(pairs: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """One finding with all copies."""
    if pairs:
        listed = ", ".join(f"{copy} = {original}" for copy, original in pairs)
        yield Finding("copies", "warning", listed)


def _cache() -> Iterator[Finding]:
    from gantune.data import cache_folder, cache_remedy

    yield from _folder("cache", cache_folder(), cache_remedy)


def _folder(what: str, path: Path, remedy: Callable[[OSError | None], str]) -> Iterator[Finding]:
    """Whether a folder, or the parent where it would be created, is writable and has room.

    ``remedy``: what helps against an error, or against too little room (``None``).
    """
    there = path.absolute()
    try:
        while not there.exists():
            there = there.parent
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        found = f"{path}: cannot be written ({error.strerror})"
        yield Finding(what, "broken", found, remedy(error))
        return
    found = f"{path}: can be written, {gib(free)} free"
    if free >= _LEAST_FREE_GIB * 2**30:
        yield Finding(what, "ok", found)
    else:
        yield Finding(what, "warning", found, remedy(None))
