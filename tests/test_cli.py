from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from gantune.cli import main
from gantune.errors import RunError
from gantune.search.folder import RunFolder
from tests.report.factory import finals, outcome, search, state

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gantune", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunFolder:
    """The factory's search as the run ``dcgan``."""
    from gantune.search import reading

    of = state(search(), finals(), Path("runs/dcgan"))
    (tmp_path / "runs/dcgan").mkdir(parents=True)
    (tmp_path / of.folder.info).write_text("{}")
    for record in of.trials:
        folder = tmp_path / of.folder.trial(record.name).path
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"seed: {record.number}\n")
    (tmp_path / of.folder.best).write_text("# the winner\nseed: 3\n")
    monkeypatch.setattr(reading, "read_run", lambda folder: of)
    return of.folder


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
    for command in ("init", "search", "status", "best", "train", "sample", "doctor"):
        assert command in done.stdout


def test_every_command_explains_itself(run: Run) -> None:
    for command in ("init", "search", "status", "best", "train", "sample", "doctor"):
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
        (["search", "dcgan", "--time", "soon"], "'soon' is no time"),
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


def test_init_writes_a_shipped_space_and_never_over_a_file(run: Run, tmp_path: Path) -> None:
    from gantune.space import load_space, shipped_text

    path = tmp_path / "spaces/dcgan.yaml"
    code, text, _ = run("init")
    assert code == 0 and "gantune search spaces/dcgan.yaml" in text
    assert path.read_text() == shipped_text("dcgan")
    assert load_space(path).study == "dcgan"
    path.write_text("mine")
    code, _, error = run("init")
    assert code == 2 and "--force" in error and path.read_text() == "mine"
    assert run("init", "--force")[0] == 0 and path.read_text() == shipped_text("dcgan")


def test_init_elsewhere_and_the_list(run: Run, tmp_path: Path) -> None:
    from gantune.space import shipped_spaces

    assert run("init", "mixture2d", "-o", "deep/my.yaml")[0] == 0
    assert (tmp_path / "deep/my.yaml").exists()
    (tmp_path / "file").write_text("")
    code, _, error = run("init", "-o", "file/my.yaml")
    assert code == 2 and "cannot be written" in error
    code, text, _ = run("init", "--list")
    assert [line.split()[0] for line in text.splitlines()] == list(shipped_spaces())


def prepared(tmp_path: Path) -> Any:
    return SimpleNamespace(folder=RunFolder(tmp_path / "runs/dcgan"))


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any], list[Any]]:
    """Lets a search end as told; collects the options it was given."""

    def let(ending: Any) -> list[Any]:
        from gantune.search import prepare, reading
        from gantune.search import run as running

        given: list[Any] = []

        def begin(space: str, options: Any, watcher: Any) -> Any:
            given.append((space, options))
            return prepared(tmp_path)

        def go(search: Any, watcher: Any) -> Any:
            watcher.say("begun")
            if isinstance(ending, BaseException):
                raise ending
            return ending

        monkeypatch.setattr(prepare, "prepare", begin)
        monkeypatch.setattr(running, "run_search", go)
        monkeypatch.setattr(reading, "read_run", lambda folder: state(search()))
        return given

    return let


def test_search_passes_its_options_on_and_ends_with_the_summary(run: Run, searching: Any) -> None:
    given = searching(state(search(), finals()))
    code, text, _ = run(
        *shlex.split("search my.yaml --trials 4 --kimg 2.5 --time 1h --workers 3 --device cpu"),
        *shlex.split("--data d.npz --storage sqlite:///x --out o --seed 7 --set a=1 --set b=2"),
    )
    assert code == 0
    assert text.startswith("begun\n") and "Winner: trial 3" in text
    ((space, options),) = given
    assert space == "my.yaml"
    assert (options.trials, options.kimg, options.time, options.workers) == (4, 2.5, "1h", 3)
    assert (options.device, options.data, options.storage) == ("cpu", "d.npz", "sqlite:///x")
    assert (options.out, options.seed, options.overrides) == (Path("o"), 7, ("a=1", "b=2"))


def test_what_is_not_given_is_left_to_the_space(run: Run, searching: Any) -> None:
    from gantune.search.prepare import Options

    given = searching(state(search()))
    run("search", "dcgan")
    assert given == [("dcgan", Options(command="gantune search dcgan"))]


def test_ctrl_c_ends_with_the_summary_and_130(run: Run, searching: Any, tmp_path: Path) -> None:
    searching(KeyboardInterrupt())
    assert run("search", "dcgan")[::2] == (130, "")  # before the run has begun
    info = prepared(tmp_path).folder.info
    info.parent.mkdir(parents=True)
    info.write_text("{}")
    code, text, _ = run("search", "dcgan")
    assert code == 130
    assert "Best: trial 3" in text and "run the same command again" in text


def test_a_full_disk_is_one_clear_message(run: Run, searching: Any) -> None:
    searching(OSError(errno.ENOSPC, "No space left on device", "runs/dcgan/trials.csv"))
    code, _, error = run("search", "dcgan")
    assert code == 2
    assert error.startswith("disk full: runs/dcgan/trials.csv") and "same command again" in error


def test_an_error_of_the_code_keeps_its_traceback(
    searching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching(ZeroDivisionError("a bug"))
    monkeypatch.setattr(sys, "argv", ["gantune", "search", "dcgan"])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main()


def test_a_refused_run_is_told_whole(run: Run, searching: Any) -> None:
    searching(RunError("runs/dcgan: holds another space:\n  trial.kimg: 40 -> 50"))
    code, _, error = run("search", "dcgan")
    assert (code, error) == (2, "runs/dcgan: holds another space:\n  trial.kimg: 40 -> 50\n")


def test_status_of_a_stopped_search_says_how_to_go_on(
    run: Run, canned: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantune.search import reading

    stopped = state(search(), (), canned.path, is_over=False)
    monkeypatch.setattr(reading, "read_run", lambda folder: stopped)
    canned.info.write_text('{"command": "gantune search dcgan --trials 24"}')
    code, text, _ = run("status", "dcgan")
    assert code == 0 and "9/24" in text and "Leaderboard" in text
    assert "stopped; go on with: gantune search dcgan --trials 24" in text
    with canned.locked():
        assert "stopped" not in run("status", "dcgan")[1]


def test_status_as_json_and_of_one_trial(run: Run, canned: RunFolder) -> None:
    code, text, _ = run("status", "dcgan")
    assert code == 0 and "Winner: trial 3" in text
    code, text, _ = run("status", "runs/dcgan", "--json")
    assert code == 0 and json.loads(text)["best"] == 3
    code, text, _ = run("status", "dcgan#4")
    assert code == 0 and "discriminator_won" in text
    code, _, error = run("status", "dcgan#99")
    assert code == 2 and "has no trial 99" in error


def test_best_prints_what_training_reads(run: Run, canned: RunFolder) -> None:
    assert run("best", "dcgan") == (0, "# the winner\nseed: 3\n", "")
    assert run("best", "dcgan#4")[1].endswith("seed: 4\n")
    assert run("best", "dcgan", "--trial", "1")[1].endswith("seed: 1\n")
    assert [part[-2] for part in run("best", "dcgan", "--top", "3")[1].split("---\n")] == [*"304"]
    code, _, error = run("best", "dcgan", "--top", "2", "--trial", "1")
    assert code == 2 and "--trial and --top" in error
    assert run("best", "dcgan#4", "--trial", "1")[0] == 2


def test_best_writes_files(run: Run, canned: RunFolder, tmp_path: Path) -> None:
    assert run("best", "dcgan", "-o", "mine.yaml")[1] == "wrote mine.yaml\n"
    assert (tmp_path / "mine.yaml").read_text() == "# the winner\nseed: 3\n"
    assert run("best", "dcgan", "--top", "2", "-o", "top.yaml")[0] == 0
    assert (tmp_path / "top-1.yaml").read_text().endswith("seed: 3\n")
    assert (tmp_path / "top-2.yaml").read_text().endswith("seed: 0\n")


@pytest.mark.parametrize(("ending", "code"), [("completed", 0), ("collapsed", 1)])
def test_train_trains_beside_its_config(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: Any, code: int
) -> None:
    from gantune.search import training

    given: dict[str, Any] = {}

    def train(config: Any, **options: Any) -> Any:
        given.update(options, config=config)
        return outcome(ending)

    monkeypatch.setattr(training, "train", train)
    (tmp_path / "mine.yaml").write_text("seed: 5\nkimg: 4\n")
    ended, text, _ = run("train", "mine.yaml", "--kimg", "9", "--resume")
    assert ended == code
    assert (given["out"], given["resume"], given["device"]) == (Path("mine"), True, "auto")
    assert (given["config"].seed, given["config"].kimg) == (5, 9)
    assert ("gantune sample mine/best.pt" in text) == (code == 0)


def test_train_that_is_interrupted_says_how_to_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gantune.search import training

    def train(config: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    (tmp_path / "mine.yaml").write_text("seed: 5\n")
    code, text, _ = run("train", "mine.yaml")
    assert code == 130 and "nothing kept" in text
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/last.pt").touch()
    code, text, _ = run("train", "mine.yaml", "--kimg", "400")
    assert code == 130 and "go on with: gantune train mine.yaml --kimg 400 --resume" in text
    code, _, error = run("train", "mine.yaml", "--kimg", "-1")
    assert code == 2 and "kimg" in error


def test_sample_draws_what_its_seed_says(run: Run, tmp_path: Path) -> None:
    from gantune.config import make_config
    from gantune.data import load_images, settled
    from gantune.gan.checkpoint import save_weights
    from gantune.gan.trainer import Trainer

    config = make_config({"network": {"width": 4}, "data": {"resolution": 16}})
    images = load_images(config.data)
    save_weights(tmp_path / "best.pt", Trainer(settled(config, images), images, "cpu"))
    for name, seed in (("a.png", "1"), ("b.png", "1"), ("c.png", "2")):
        assert run("sample", "best.pt", "-n", "9", "-o", name, "--seed", seed)[0] == 0
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == picture.height >= 3 * 64
    (tmp_path / "file").write_text("")
    code, _, error = run("sample", "best.pt", "-o", "file/grid.png")
    assert code == 2 and "cannot be written" in error


def test_doctor_fails_where_something_is_broken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gantune.report import doctor

    findings = [doctor.Finding("torch", "ok", "2.13")]
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert run("doctor")[0] == 0
    findings.append(doctor.Finding("runs", "broken", "read-only", "give --out"))
    code, text, _ = run("doctor")
    assert code == 1 and "runs: give --out" in text
