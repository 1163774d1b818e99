"""``doctor``: what it finds on a machine and how it ends."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.image.fid  # noqa: F401  before a test changes which packages there are
from PIL import Image

from gantune.cli import doctor
from gantune.cli.doctor import Finding, examine, print_findings
from gantune.errors import ScoreError
from gantune.scores import ExtractorChoice
from gantune.scores.extractors.inception import load_inception
from gantune.trial import devices
from gantune.trial.devices import Gpus
from tests.cli.conftest import Run
from tests.data.making import noise, write_pictures
from tests.report.factory import console, written


def found(findings: list[Finding], what: str) -> Finding:
    (one,) = [finding for finding in findings if finding.what == what]
    return one


def printed(findings: list[Finding]) -> str:
    made = console()
    print_findings(made, findings)
    return written(made)


def test_a_sound_machine_has_nothing_broken(tmp_path: Path) -> None:
    findings = examine(tmp_path / "runs")
    assert [finding for finding in findings if finding.state == "broken"] == []
    named = {finding.what for finding in findings}
    assert {"Python", "torch", "optuna", "CPU", "digits classifier", "cache", "runs"} <= named
    assert "of the digits correctly" in found(findings, "digits classifier").found
    assert not (tmp_path / "runs").exists()


def test_the_allocator_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "keep_freed_memory", lambda: "glibc 2.36")
    assert found(examine(tmp_path), "allocator").found == "glibc 2.36"


def test_gpus_are_named_with_their_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (2**33, 2**34))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    monkeypatch.setattr(doctor, "_bf16", lambda device: f"bf16 on {device}")
    text = found(examine(tmp_path), "cuda:1").found
    assert text == "Card 1, 8.0 GiB free of 16.0 GiB, bf16 on cuda:1"


@pytest.mark.parametrize(
    ("gpus", "state", "text", "remedy"),
    [
        (Gpus((), "The driver is too old", "update it"), "warning", "is too old", "update it"),
        (Gpus((), "X= hides it", "unset X", is_hidden=True), "ok", "X= hides it", ""),
        (Gpus(), "ok", "none; searches run on the CPU", ""),
    ],
)
def test_the_reason_why_torch_uses_no_gpu_is_told(
    monkeypatch: pytest.MonkeyPatch, gpus: Gpus, state: str, text: str, remedy: str
) -> None:
    monkeypatch.setattr(devices, "find_gpus", lambda: gpus)
    (finding,) = doctor._gpus()
    assert (finding.what, finding.state, finding.remedy) == ("GPU", state, remedy)
    assert text in finding.found


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nmore", "exclusive mode"),
        ("CUDA error: out of memory\nmore", "too little free memory"),
        ("CUDA error: uncorrectable ECC error encountered\nmore", "see whether nvidia-smi lists"),
    ],
)
def test_a_gpu_that_cannot_be_used_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, error: str, remedy: str
) -> None:
    def free(index: int) -> tuple[int, int]:
        if index == 0:
            raise torch.AcceleratorError(error)
        return 2**33, 2**34

    monkeypatch.setattr(devices, "find_gpus", lambda: Gpus(("cuda:0", "cuda:1")))
    monkeypatch.setattr(torch.cuda, "mem_get_info", free)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    monkeypatch.setattr(doctor, "_bf16", lambda device: "bf16 native")
    broken, sound, _ = doctor._gpus()
    assert (broken.what, broken.state) == ("cuda:0", "broken") and remedy in broken.remedy
    assert broken.found == f"torch cannot use it: {error.splitlines()[0]}"
    assert (sound.what, sound.state) == ("cuda:1", "ok")


def mismatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torchvision that was built for another torch."""

    def fail(name: str) -> Any:
        raise RuntimeError("operator torchvision::nms does not exist\n more")

    installed = {"torch": "2.13.0+cpu", "torchvision": "0.27.1", "torch-fidelity": "0.4.0"}
    version, requires = metadata.version, metadata.requires
    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(metadata, "version", lambda name: installed.get(name) or version(name))
    monkeypatch.setattr(
        metadata,
        "requires",
        lambda name: ["numpy", "torch==2.12.1"] if name == "torchvision" else requires(name),
    )


def test_builds_that_do_not_fit_are_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mismatched(monkeypatch)
    findings = examine(tmp_path)
    finding = found(findings, "torchmetrics.image.fid")
    assert finding.state == "broken"
    assert "(RuntimeError: operator torchvision::nms does not exist): " in finding.found
    assert "torch 2.13.0+cpu, torchvision 0.27.1 built for torch 2.12.1, " in finding.found
    assert "torch-fidelity 0.4.0" in finding.found
    command = "pip install --force-reinstall torch==2.13.0 torchvision torch-fidelity"
    assert command in finding.remedy
    assert "pip uninstall torchvision torch-fidelity" in finding.remedy
    inception = found(findings, "Inception")
    assert inception == Finding("Inception", "broken", "needs torchmetrics.image.fid")


def test_the_error_names_them_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    mismatched(monkeypatch)
    with pytest.raises(
        ScoreError, match=r"'inception' is not available: .*built for torch 2\.12\.1"
    ):
        load_inception(ExtractorChoice("inception"))


def test_missing_and_mismatched_packages_are_both_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mismatched(monkeypatch)
    found = metadata.version

    def version(name: str) -> str:
        if name == "torch-fidelity":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(ScoreError) as error:
        load_inception(ExtractorChoice("inception"))
    text = str(error.value)
    assert "torch-fidelity is not installed, and torchmetrics.image.fid cannot be" in text
    assert "torchvision 0.27.1 built for torch 2.12.1" in text and "no torch-fidelity" in text
    assert "--force-reinstall torch==2.13.0 torchvision torch-fidelity" in text


def test_inception_is_an_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = metadata.version

    def version(name: str) -> str:
        if name == "torch-fidelity":
            raise metadata.PackageNotFoundError(name)
        return "0.28.0" if name == "torchvision" else original(name)

    monkeypatch.setattr(metadata, "version", version)
    finding = found(examine(tmp_path), "Inception")
    assert (finding.state, finding.remedy) == ("ok", "")
    assert finding.found == (
        "needed for a real FID alone: torch-fidelity is not installed; "
        f"pip install 'gantune[inception]' torch=={torch.__version__.partition('+')[0]}"
    )


def test_a_package_that_is_missing_or_too_old(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def version(name: str) -> str:
        if name == "optuna":
            return "3.6.1"
        if name == "typer":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(
        metadata,
        "requires",
        lambda name: ["optuna>=5", "typer>=0.12", "rich", "pytest>=8; extra == 'dev'"],
    )
    findings = examine(tmp_path)
    assert found(findings, "optuna") == Finding(
        "optuna", "broken", "3.6.1, outside its range", "pip install 'optuna>=5'"
    )
    assert found(findings, "typer").found == "not installed"
    assert found(findings, "rich").state == "ok"
    assert all(finding.what != "pytest" for finding in findings)


def test_a_damaged_classifier(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from gantune.scores.extractors import digits

    content = bytearray(digits._FILE.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged = tmp_path / "digits.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(digits, "_FILE", damaged)
    finding = found(examine(tmp_path), "digits classifier")
    assert finding.state == "broken" and finding.remedy


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(dir: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    finding = found(examine(tmp_path), "runs")
    assert finding.state == "broken" and "Permission denied" in finding.found
    assert "--out" in finding.remedy


@pytest.mark.parametrize("cache", ["file", "file/below", "/dev/null/x", "/proc/x"])
def test_a_cache_that_cannot_be_written_is_no_fault_of_data_or_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: str
) -> None:
    (tmp_path / "file").touch()
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / cache))
    with monkeypatch.context() as patch:
        patch.setattr(doctor, "_packages", lambda: iter(()))
        patch.setattr(doctor, "_gpus", lambda: iter(()))
        findings = examine(tmp_path, data=str(tmp_path))
    broken = [finding for finding in findings if finding.state == "broken"]
    assert [finding.what for finding in broken] == ["data", "classifier", "cache"]
    remedy = "set GANTUNE_CACHE to a folder that you can write"
    for finding in broken:
        assert remedy in finding.found + finding.remedy
        assert "install" not in finding.remedy and "let this user" not in finding.remedy


def test_a_disk_with_little_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    little = usage._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: little)
    assert found(examine(tmp_path), "runs").state == "warning"


def test_a_check_that_fails_by_itself_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = builtins.__import__

    def without_torch(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise ImportError("libcudart.so.12: cannot open shared object file")
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    finding = found(examine(tmp_path), "cpu")
    assert finding.state == "broken" and "libcudart" in finding.found


def test_remedies_are_listed_below_the_table_worst_first() -> None:
    text = printed(
        [
            Finding("Python", "ok", "3.11"),
            Finding("runs", "warning", "1 GiB free", "make room"),
            Finding("torch [cpu]", "broken", "gone", "pip install torch"),
        ]
    )
    assert text.index("torch [cpu]: pip install torch") < text.index("runs: make room")
    assert "All is well" not in text
    assert "All is well" in printed([Finding("Python", "ok", "3.11")])


def test_doctor_fails_where_something_is_broken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding("torch", "ok", "2.13")]
    monkeypatch.setattr(doctor, "examine", lambda **_: findings)
    assert run("doctor")[0] == 0
    findings.append(Finding("runs", "broken", "read-only", "give --out"))
    code, text, _ = run("doctor")
    assert code == 1 and "runs: give --out" in text


def data_findings(source: Path, *settings: str) -> list[Finding]:
    return list(doctor._data(str(source), settings))


@pytest.mark.parametrize(
    ("names", "what", "found", "remedy"),
    [
        (["a/1.png", "b/1.png"], "data", "2 images: too few to learn from", "add images: 100"),
        (["a/1.png", "b/1.png"], "classes", "2 of 2 have fewer than 10 images: a, b", "add images"),
        (
            [*(f"a/{n}.png" for n in range(120)), "b/1.png"],
            "classes",
            "1 of 2 have fewer than 10 images: b",
            "leave them out",
        ),
        (
            [*(f"a/{n}.png" for n in range(120)), *(f"b/{n}.png" for n in range(120)), "c/"],
            "data",
            "warning: no image in c, thus no class: add some",
            "",
        ),
        ([f"{n}.png" for n in range(120)], "data", "are copies of others: remove them", ""),
    ],
)
def test_sets_from_which_little_can_be_learned(
    tmp_path: Path, names: list[str], what: str, found: str, remedy: str
) -> None:
    for number, name in enumerate(names):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            Image.new("L", (8, 8), 20 + number % 90).save(path)
    findings = data_findings(tmp_path / "set")
    assert any(
        finding.state == "warning"
        and finding.what == what
        and found in finding.found
        and remedy in finding.remedy
        for finding in findings
    ), findings
    assert "All is well" not in printed(findings)
    assert printed(findings).count("thus no class") <= 1


def test_one_image_is_broken_as_for_a_search(tmp_path: Path) -> None:
    write_pictures(tmp_path, "1.png")
    (finding,) = data_findings(tmp_path)
    assert finding.state == "broken" and "one image is too few, as a batch holds 2" in finding.found


def test_all_unreadable_images_are_listed(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", *(f"{n:03}.png" for n in range(25)))
    for number in range(7):
        (tmp_path / "set" / f"{number:03}.png").write_bytes(b"no image")
    findings = data_findings(tmp_path / "set")
    assert findings[0].state == "broken" and "7 of 25 images cannot be read" in findings[0].found
    listed = [finding.found for finding in findings if finding.what == "unreadable"]
    names = ", ".join(f"{n:03}.png" for n in range(7))
    assert listed == [f"7 images (cannot identify image file): {names}"]
    write_pictures(tmp_path / "set", *(f"{n:03}.png" for n in range(700)))
    for number in range(7):
        (tmp_path / "set" / f"{number:03}.png").write_bytes(b"no image")
    findings = data_findings(tmp_path / "set")
    listed = [finding.found for finding in findings if finding.what == "unreadable"]
    assert len(listed) == 1


@pytest.mark.parametrize(("classes", "more"), [(50, ""), (51, "and 1 more"), (90, "and 40 more")])
def test_classes_that_are_not_listed_are_counted(tmp_path: Path, classes: int, more: str) -> None:
    np.savez(tmp_path / "a.npz", x=noise(2 * classes, 4, 4), y=np.arange(2 * classes) % classes)
    rows = [each for each in data_findings(tmp_path / "a.npz") if each.what.startswith("class ")]
    assert [row.found for row in rows[50:]] == [more] * bool(more)


def test_copies_are_listed_with_what_they_are_copies_of(tmp_path: Path) -> None:
    for place, start in (("a", 0), ("b", 100)):
        (tmp_path / place).mkdir()
        for number in range(110):
            image = Image.new("L", (8, 8), start + number)
            image.save(tmp_path / place / f"{number:03}.png")
    findings = data_findings(tmp_path)
    assert "10 of 220 images are copies of others" not in findings[0].found  # fewer than 10%
    assert [each for each in findings if each.what == "copies"] == []
    for number in range(30):
        Image.new("L", (8, 8), number).save(tmp_path / "b" / f"{number:03}.png")
    findings = data_findings(tmp_path)
    assert (
        "copies of others: remove them, such as b/000.png, which is a/000.png" in findings[0].found
    )
    (listed,) = [each.found for each in findings if each.what == "copies"]
    assert "b/029.png = a/029.png" in listed and listed.count(" = ") == 30


def test_doctor_takes_settings_of_data(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=noise(120, 8, 8), b=noise(150, 8, 8))
    code, out, err = run("doctor", "--data", "a.npz", "--set", "data.key=b")
    assert code == 0 and "150 images from a.npz" in out + err
    for given, said in {
        "data.kye=b": "data has no 'kye' (did you mean 'key'?)",
        "data.split=tset": "split",
        "key=b": "write data.NAME=VALUE",
        "data.key=": "write data.NAME=VALUE",
    }.items():
        code, out, err = run("doctor", "--data", "a.npz", "--set", given)
        assert code == 2 and said in " ".join((out + err).split()), (given, out, err)
    code, out, err = run("doctor", "--set", "data.key=b")
    assert code == 2 and "--data" in out + err


@pytest.mark.integration
def test_no_message_points_to_a_page_that_is_not_installed() -> None:
    import gantune

    package = Path(gantune.__file__).parent
    for file in package.rglob("*.py"):
        told = [
            node.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        docs = {text for text in told if re.search(r"\bdocs/\w+\.md", text)}
        assert all(text.count("\n") for text in docs), (file, docs)  # docstrings alone
