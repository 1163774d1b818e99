"""``diagnose``."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.health.logs.making import as_csv, as_lines, calm_rows, stylegan_line, won_rows

COMMAND = [sys.executable, "-m", "gantune", "diagnose", "-"]

TRAINER = """
import json, time
print("Loading data...", flush=True)
for step in range(1, 100_000):
    loss = 1.4 if step < 40 else float("nan")
    print(json.dumps({"step": step, "d_loss": loss, "g_loss": 0.7}), flush=True)
    time.sleep(0.005)
"""


@pytest.fixture(autouse=True)
def logs(tmp_path: Path) -> None:
    """Logs in the folder where the commands run."""
    (tmp_path / "calm.csv").write_text(as_csv(calm_rows(60)))
    (tmp_path / "won.csv").write_text(as_csv(won_rows()))
    other = [{"it": r["step"], "Loss/D": r["d_loss"], "L(G)": r["g_loss"]} for r in won_rows()]
    (tmp_path / "rates.csv").write_text("step,lr\n1,2\n")
    (tmp_path / "other.jsonl").write_text(as_lines(other))
    lines = [stylegan_line(4.0 * k, 1.3) for k in range(30)]
    (tmp_path / "stats.jsonl").write_text(as_lines(lines))


@pytest.fixture
def piped(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """``diagnose -`` with a text as its input: exit code, stdout and stderr."""

    def call(text: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return run("diagnose", "-", *arguments)

    return call


def test_a_verdict_in_words(run: Run) -> None:
    code, text, error = run("diagnose", "won.csv", "--loss", "vanilla")
    assert (code, error) == (0, "")
    assert "won.csv: collapsed by step" in text
    assert "of its neutral value for" in text and "(discriminator_won)" in text
    assert "best point  step" in text and "100 records to step 10,000: d_loss, g_loss" in text


def test_a_healthy_log_of_an_unknown_loss(run: Run) -> None:
    code, text, _ = run("diagnose", "calm.csv")
    assert code == 0 and "calm.csv: healthy" in text
    assert "! the loss was not named; the first losses look like vanilla or hinge" in text
    rows = [row | {"d_loss": 9.0} for row in calm_rows(60)]
    Path("odd.csv").write_text(as_csv(rows))
    code, text, _ = run("diagnose", "odd.csv")
    assert code == 0 and "odd.csv: not judged: which loss? name it with --loss" in text
    assert "! the loss was not named, so discriminator_won" in text


def test_json_is_all_of_stdout(run: Run) -> None:
    code, text, error = run("diagnose", "won.csv", "--loss", "vanilla", "--json")
    tree: dict[str, Any] = json.loads(text)
    assert (code, error, tree["verdict"], tree["unit"]) == (0, "", "collapsed", "step")
    assert 0 < tree["best_step"] < tree["step"] < tree["last_step"] == 10_000
    assert 0 < tree["wasted_share"] < 1


def test_options_change_the_verdict(run: Run) -> None:
    def verdict(*arguments: str) -> str:
        return json.loads(run("diagnose", *arguments, "--json")[1])["verdict"]

    assert verdict("won.csv") == "collapsed"
    assert verdict("won.csv", "--loss", "wgan") == "collapsed"
    assert verdict("won.csv", "--loss", "vanilla", "--preset", "off") == "healthy"
    assert verdict("won.csv", "--loss", "vanilla", "--auxiliary") == "collapsed"
    small = as_csv([row | {"d_loss": row["d_loss"] / 1000} for row in calm_rows(60)])
    Path("small.csv").write_text(small)
    assert verdict("small.csv", "--loss", "vanilla") == "collapsed"
    assert verdict("small.csv", "--loss", "vanilla", "--auxiliary") == "healthy"
    named = ("--columns", "d_loss=Loss/D,g_loss=L(G)", "--columns", "step=it")
    assert verdict("other.jsonl", *named, "--loss", "ns") == "collapsed"
    assert verdict("stats.jsonl") == "healthy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "missing.csv: no such file; there are: calm.csv"),
        (["."], ".: a folder, not a log"),
        (["rates.csv"], "none of d_loss, g_loss"),
        (["calm.csv", "--columns", "d_loss=dloss"], "did you mean --columns d_loss=d_loss?"),
        (["calm.csv", "--columns", "d_los=d"], "did you mean 'd_loss'"),
        (["calm.csv", "--columns", "d_loss"], "write SIGNAL=COLUMN"),
        (["calm.csv", "--loss", "hing"], "did you mean 'hinge'"),
        (["calm.csv", "--preset", "harsh"], "--preset"),
        (["calm.csv", "--plot", "page.png"], "ends in .html"),
        (["calm.csv", "--plot", "calm.csv/page.html"], "page.html: cannot be written"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(run: Run, arguments: list[str], message: str) -> None:
    code, _, error = run("diagnose", *arguments)
    assert code == 2 and message in error and "Traceback" not in error


def test_plot(run: Run, tmp_path: Path) -> None:
    code, text, error = run("diagnose", "won.csv", "--loss", "vanilla", "--plot", "p.html")
    assert code == 0 and "collapsed" in text and "wrote p.html" in error
    assert "won.csv: collapsed by step" in (tmp_path / "p.html").read_text()


@pytest.mark.integration
def test_a_trainer_is_stopped_by_the_pipe() -> None:
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    done = subprocess.run(
        [*COMMAND, "--json"], stdin=trainer.stdout, capture_output=True, text=True, timeout=120
    )
    assert trainer.stdout is not None and trainer.stderr is not None
    trainer.stdout.close()  # the copy of this process
    assert trainer.wait(timeout=60) != 0
    assert b"BrokenPipeError" in trainer.stderr.read()
    trainer.stderr.close()
    tree = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (3, "")
    assert (tree["verdict"], tree["step"], tree["records"]) == ("diverged", 40, 40)
    assert tree["notes"][0] == "1 line skipped: no JSON objects"


def test_the_end_of_a_healthy_pipe(piped: Callable[..., tuple[int, str, str]]) -> None:
    code, text, error = piped(as_csv(calm_rows(40)), "--loss", "vanilla")
    assert (code, error) == (0, "") and "stdin: healthy" in text
    code, _, error = piped("hello\n")
    assert code == 2 and "stdin: no table, JSON lines or printed losses" in error


def test_a_pipe_is_judged_as_a_file_up_to_the_stop(
    run: Run, piped: Callable[..., tuple[int, str, str]]
) -> None:
    file = json.loads(run("diagnose", "won.csv", "--loss", "vanilla", "--json")[1])
    code, text, _ = piped(as_csv(won_rows()), "--loss", "vanilla", "--json")
    pipe, same = json.loads(text), ("verdict", "rule", "step", "best_step", "evidence", "unit")
    assert code == 3
    assert [pipe[name] for name in same] == [file[name] for name in same]
    assert pipe["last_step"] == pipe["step"] < file["last_step"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epoch {k} loss 1.3", "20 lines and nothing to judge: none of d_loss, g_loss"),
        ('{{"epoch": {k}, "loss": 1.3}}', "none of d_loss, g_loss"),
    ],
)
def test_a_pipe_that_cannot_be_judged_says_so_at_once(line: str, message: str) -> None:
    """Otherwise its trainer would run to its end without being judged."""
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdin is not None and watching.stderr is not None
        for k in range(25):
            watching.stdin.write(line.format(k=k) + "\n")
        watching.stdin.flush()
        assert message in watching.stderr.readline()
        watching.stdin.close()
        assert watching.wait(60) == 2


def test_a_log_with_too_little_information_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("step,d_loss\n1,1.3\n2,1.3\n")
    assert "only 2 places in the log" in run("diagnose", "short.csv", "--loss", "vanilla")[1]
    rows = "".join(f"{k // 50},1.3\n" for k in range(1000))
    (tmp_path / "epochs.csv").write_text(f"step,d_loss\n{rows}")
    text = " ".join(run("diagnose", "epochs.csv", "--loss", "vanilla")[1].split())
    assert "980 of 1,000 records have the same place as the record before" in text
