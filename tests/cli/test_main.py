"""The command line as a whole: help, version, and the user's errors."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

COMMANDS = (
    *("init", "search", "watch", "status", "report", "dashboard", "track", "best"),
    *("next", "train", "stabilize", "sample", "evaluate", "diagnose", "doctor"),
)


def test_help_needs_nothing_heavy() -> None:
    script = (
        "import sys; from gantune.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'optuna', 'numpy', 'pydantic', 'torchmetrics', 'sklearn', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    for command in COMMANDS:
        assert command in done.stdout


def test_a_wrong_space_is_refused_before_torch_is_imported() -> None:
    script = (
        "import sys; from gantune.cli import main; sys.argv = ['gantune', 'search', 'no.yaml']\n"
        "try: main()\n"
        "except SystemExit as ended: print(ended.code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "2 False" and "no such file" in done.stderr


def test_every_command_explains_itself(run: Run) -> None:
    for command in COMMANDS:
        code, text, _ = run(command, "--help")
        assert code == 0 and "Usage" in text
    code, text, _ = run("search", "-h")
    options = shlex.split(
        "--trials --kimg --time --workers --device --data --storage --out --seed --set"
    )
    assert all(option in text for option in [*options, "--dry-run"])


def test_version(run: Run) -> None:
    from gantune import __version__

    assert run("--version") == (0, f"gantune {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["search", "--help"], ["init", "--list"]])
def test_a_reader_that_has_gone_is_no_error(arguments: list[str]) -> None:
    """As in ``gantune init --list | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", "from gantune.cli import main; main()", *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch"], "Did you mean"),
        (["search", "dcgan", "--trials", "0"], "--trials"),
        (["search", "dcgan", "--trials", "many"], "--trials"),
        (["search", "dcgan", "--workers", "0"], "'0' is neither auto nor a whole number"),
        (["search", "dcgan", "--workers", "two"], "'two' is neither auto nor a whole number"),
        (["search", "dcgan", "--time", "soon"], "'soon' is not a duration"),
        (["search", "dcgan", "--set", "loss=hing"], "did you mean 'hinge'"),
        (["search", "dcgan", "--kimg", "-4"], "kimg"),
        (["search", "dcgan", "--device", "tpu"], "--device tpu"),
        (["search", "dcgam"], "did you mean 'dcgan'"),
        (["search", "dcgan", "--data", "nowhere.npz"], "nowhere.npz"),
        (["status", "nothing"], "nothing: no such run"),
        (["best", "nothing", "--top", "0"], "--top"),
        (["train", "missing.yaml"], "missing.yaml: no such file"),
        (["sample", "missing.pt"], "missing.pt: no such file"),
        (["sample", "missing.pt", "-n", "0"], "-n"),
        (["sample", "missing.pt", "-o", "grid.jpg"], "ends in .png"),
        (["init", "dcgam"], "did you mean 'dcgan'"),
    ],
)
def test_the_users_errors_are_one_message_and_exit_2(
    run: Run, arguments: list[str], message: str, tmp_path: Path
) -> None:
    code, text, error = run(*arguments)
    assert code == 2
    assert message in error and "Traceback" not in error and text == ""
    assert list(tmp_path.iterdir()) == []


def test_a_shell_completes_commands_spaces_and_runs(tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)

    def offered(*words: str) -> list[str]:
        text = " ".join(("gantune", *words))
        asked = {
            "_GANTUNE_COMPLETE": "complete_bash",
            "COMP_WORDS": text,
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run(
            [Path(sys.executable).with_name("gantune")],
            env={**os.environ, **asked},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert offered("sea") == ["search"]
    assert offered("search", "dcg") == ["dcgan", "dcgan28"]
    assert offered("status", "m") == ["mine"]
    assert offered("train", "--thr") == ["--threads"]
