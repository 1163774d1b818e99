"""The command stabilize: what it passes on, what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gantune.config import make_config
from gantune.errors import DataError, GantuneError, SpaceError
from gantune.health import Verdict
from gantune.health.remedies import REMEDIES, differences
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Ending, Outcome
from gantune.tuner.variants.stabilize import Stabilized
from gantune.tuner.variants.tried import Tried
from tests.canned import run_info
from tests.cli.conftest import Run

CONFIG = make_config({"kimg": 4, "loss": "minimax", "generator": {"lr": 5e-3}})
WORST = 3000.0
VERDICT = Verdict("collapsed", "discriminator_won", 2.0, "D loss at 0", 1.0)


def tried(name: str, survived: int, ended: int = 3, score: float | None = None) -> Tried:
    changed = CONFIG
    for part in name.split("+"):
        if part in REMEDIES:
            changed = REMEDIES[part].applied(changed) or changed
    changes = tuple(differences(CONFIG, changed))
    verdicts = (VERDICT,) * (ended - survived)
    scores = () if score is None else (score,)
    rung = None if ended and survived else (25, 3800.0)
    recalls = (0.0,) if score == WORST else (0.4,)
    return Tried(name, changes, ended, survived, scores, recalls, rung, 4.0 * ended, verdicts)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the command passes on; ``result`` is what it gets."""
    from gantune.tuner.variants import stabilize as module

    found: dict[str, Any] = {"result": ()}

    def stabilize(config: Any, options: Any, **terms: Any) -> Stabilized:
        found.update(terms, config=config, options=options)
        base, *others = found["result"]
        told = found.get("told", {})
        return Stabilized(config, RunFolder(Path(options.out)), base, tuple(others), **told)

    monkeypatch.setattr(module, "stabilize", stabilize)
    (tmp_path / "mine.yaml").write_text("loss: minimax\nkimg: 4\ngenerator: {lr: 5e-3}\n")
    return found


def test_the_answer_is_a_difference_and_a_file(run: Run, given: dict[str, Any]) -> None:
    given["result"] = [
        tried("as_it_is", 1),
        tried("hinge", 3, score=20.5),
        tried("usual_rates+non_saturating", 2, score=31.25),
        tried("r1", 0),
        tried("lower_rates", 0, ended=0),
    ]
    given["told"] = {"untried": 7}
    code, text, _ = run("stabilize", "mine.yaml", "--trials", "9")
    assert code == 0
    assert "3,800 at 25%" in text and "7 changes not tried" in text
    assert "As it is: 1 of 3 seeds survived; collapsed at 2 kimg: D loss at 0" in text
    assert "- loss: minimax" in text and "+ loss: hinge" in text
    assert "usual_rates+non_saturating" in text and "loss minimax →" in text
    assert "2 of 3" in text and "pruned" in text
    assert "gantune train runs/stabilize-mine/stable.yaml" in text
    assert (given["seeds"], given["options"].trials, given["config"].generator.lr) == (3, 9, 5e-3)


def test_what_changes_the_question_gets_a_folder_of_its_own(
    run: Run, given: dict[str, Any]
) -> None:
    given["result"] = [tried("as_it_is", 3, score=9.0)]
    folders = set()
    for more in ("", "--keep loss", "--keep batch_size", "--seeds 4", "--kimg 2"):
        for again in ("", "--trials 3 --time 9m"):
            assert run("stabilize", "mine.yaml", *more.split(), *again.split())[0] == 0
            folders.add(str(given["options"].out))
    assert len(folders) == 5 and "runs/stabilize-mine" in folders


def test_a_healthy_config_is_told_so(run: Run, given: dict[str, Any]) -> None:
    given["result"] = [tried("as_it_is", 3, score=9.0)]
    given["told"] = {"reach": ("health: these rules cannot act",), "untrained": 1}
    code, text, _ = run("stabilize", "mine.yaml")
    assert code == 0
    assert "As it is: 3 of 3 seeds survived, and the time was over before 1 other ended" in text
    assert "It trains as it is: no rule stops it." in text and "recall 0.40" in text
    assert "these rules cannot act" in text


def test_a_config_that_learned_nothing_is_not_called_good(run: Run, given: dict[str, Any]) -> None:
    given["result"] = [tried("as_it_is", 3, score=WORST)]
    code, text, _ = run("stabilize", "mine.yaml")
    assert code == 0 and "No rule stops it, but it has learned nothing" in text
    assert "--kimg" in text and "It trains as it is" not in text


def test_a_change_that_learns_nothing_is_not_called_good(run: Run, given: dict[str, Any]) -> None:
    given["result"] = [tried("as_it_is", 0), tried("hinge", 3, score=WORST)]
    code, text, _ = run("stabilize", "mine.yaml")
    assert code == 0
    assert "hinge holds: 3 of 3 seeds survived, but it has learned nothing" in text


def test_where_nothing_holds_the_exit_code_is_1(run: Run, given: dict[str, Any]) -> None:
    given["result"] = [tried("as_it_is", 0), tried("r1", 1)]
    code, text, _ = run("stabilize", "mine.yaml", "--out", "there")
    assert code == 1
    assert "Nothing that was tried holds" in text
    assert given["options"].out == Path("there")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.yaml",), "nowhere.yaml: no such file"),
        (("own.yaml",), "own.yaml: is of your own trainer"),
        (("mine.yaml", "--seeds", "1"), "--seeds"),
        (("mine.yaml", "--workers", "none"), "'none' is neither auto nor a whole number"),
        (("mine.yaml", "--keep", "lr"), "--keep lr: a config has no such setting (did you mean"),
        (("mine.yaml", "--keep", "generator.lrr"), "setting (did you mean 'generator.lr'?)"),
        (("mine.yaml", "--out", "used"), "used: holds another search or training"),
        (("mine.yaml", "--data", "nothing.npz"), "nothing.npz"),
    ],
)
def test_what_cannot_be_stabilized_is_an_error_of_the_user(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "mine.yaml").write_text("loss: minimax\n")
    (tmp_path / "train.py").write_text("def train(config, session): pass\n")
    (tmp_path / "own.yaml").write_text("trainer: train.py:train\nkimg: 1\nlr: 0.1\n")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/ticks.jsonl").touch()
    code, _, text = run("stabilize", *arguments)
    assert code == 2 and message in " ".join(text.split())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("ending", ["completed", "pruned", "crashed"])
def test_a_trial_that_no_rule_stopped_is_not_stabilized(
    run: Run, given: dict[str, Any], tmp_path: Path, ending: Ending
) -> None:
    write_own_run(tmp_path, "remedies: {slower: {lr: 0.5x}}\n")
    given["result"] = [tried("as_it_is", 0), tried("r1", 3)]
    verdict = tmp_path / "runs/own/trials/0000/verdict.json"
    verdict.write_text(json.dumps(Outcome(ending, 1.0).to_dict()))
    code, _, text = run("stabilize", "own#0")
    assert code == 2 and f"own#0: no rule of health has stopped it: trial 0 {ending}" in text
    assert "name its file, runs/own/trials/0000/config.yaml" in " ".join(text.split())
    for text in (json.dumps(Outcome("collapsed", 1.0, verdict=VERDICT).to_dict()), "{", "{}"):
        verdict.write_text(text)
        assert run("stabilize", "own#0")[0] == 0


@pytest.mark.parametrize("error", [DataError("batch_size: 9 images"), SpaceError("no such loss")])
def test_an_error_names_the_config(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: GantuneError
) -> None:
    from gantune.tuner.variants import stabilize as module

    def fail(*_: Any, **__: Any) -> Stabilized:
        raise error

    monkeypatch.setattr(module, "stabilize", fail)
    (tmp_path / "mine.yaml").write_text("loss: minimax\n")
    code, _, text = run("stabilize", "mine.yaml")
    assert code == 2 and f"mine.yaml: {error}" in text


def write_own_run(path: Path, remedies: str) -> None:
    """The run ``runs/own`` of an own trainer, with one trial."""
    run = path / "runs/own"
    (run / "trials/0000").mkdir(parents=True)
    (path / "train.py").write_text("def train(config, session): pass\n")
    trainer = f"trainer: {path}/train.py:train\n"
    (run / "space.yaml").write_text(f"study: own\n{trainer}trial: {{kimg: 1, lr: 0.1}}\n{remedies}")
    (run / "run.json").write_text(json.dumps(run_info()))
    (run / "trials/0000/config.yaml").write_text(f"{trainer}kimg: 1.0\nseed: 0\nlr: 0.1\n")


def test_an_own_trainer_takes_part_with_the_remedies_of_its_space(
    run: Run, given: dict[str, Any], tmp_path: Path
) -> None:
    write_own_run(tmp_path, "remedies: {slower: {lr: 0.5x}}\n")
    given["result"] = [tried("as_it_is", 0), tried("r1", 3)]
    code, _, error = run("stabilize", "own#0", "--kimg", "2")
    assert code == 0, error
    (slower,) = given["remedies"]
    assert given["config"].kimg == 2
    assert slower.applied(given["config"]).mapping()["lr"] == 0.05


@pytest.mark.parametrize(
    ("remedies", "message"),
    [
        ("", "declare what may be tried in the space of its search"),
        ("remedies: {slower: {rate: 0.5x}}\n", "space.yaml:4:21: remedies.slower: the config has"),
        ("remedies: {slower: 0.5x}\n", "space.yaml:4:"),
    ],
)
def test_an_own_trainer_without_usable_remedies_is_an_error_of_the_user(
    run: Run, tmp_path: Path, remedies: str, message: str
) -> None:
    write_own_run(tmp_path, remedies)
    code, _, text = run("stabilize", "own#0")
    assert code == 2 and message in " ".join(text.split())
