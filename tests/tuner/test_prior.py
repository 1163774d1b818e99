"""``start: {from: RUN}`` and ``--prior``: the best settings of earlier searches are tried first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gantune.errors import SpaceError
from gantune.io.yaml_document import format_document
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace, load_space
from gantune.tuner.prior import start_from_priors
from gantune.tuner.state import read_run
from tests.played import played_run
from tests.tuner.factory import SPACE

OWN = SPACE[SPACE.index("start:") : SPACE.index("pruning:")]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return played_run(tmp_path_factory.mktemp("earlier"), study="toy")


def space_with(path: Path, start: str, text: str = SPACE) -> SearchSpace:
    file = path / "new.yaml"
    file.write_text(text.replace(OWN, start))
    return load_space(file)


def started(
    space: SearchSpace, *runs: str, folder: Path | None = None
) -> tuple[SearchSpace, list[str]]:
    lines: list[str] = []
    home = RunFolder(folder or Path(space.document.file).parent / "fresh")
    return start_from_priors(space, runs, home, lines.append), lines


def best_of(run: RunFolder) -> list[dict[str, object]]:
    state = read_run(run)
    numbers = [f.origin for f in state.ranking] + [r.number for r in state.survivors]
    return [dict(state.trials[number].params) for number in dict.fromkeys(numbers)]


@pytest.mark.parametrize("top", [1, 3])
@pytest.mark.parametrize("form", ["start: {{from: {run}, top: {top}}}\n", None])
def test_the_best_by_rank_are_start_points(
    tmp_path: Path, earlier: RunFolder, form: str | None, top: int
) -> None:
    form = form or "start: [{{from: {run}, top: {top}}}, {{generator.lr: 3e-4, batch_size: 32}}]\n"
    space = space_with(tmp_path, form.format(run=earlier.path, top=top))
    own = space.start_points()
    found, lines = started(space)
    assert found.start_points() == own + best_of(earlier)[:top]
    assert found.hash == space.hash == load_space(earlier.space).hash
    (line,) = lines
    assert line.startswith(f"start from {earlier.path}: settings of trials ")
    assert "used: batch_size, generator.lr" in line


def test_space_yaml_holds_the_settings_themselves(tmp_path: Path, earlier: RunFolder) -> None:
    copy = RunFolder(tmp_path / "lastweek")
    shutil.copytree(earlier.path, copy.path)
    space = space_with(tmp_path, f"start: {{from: {copy.path}}}\n")
    found, _ = started(space)
    fresh = RunFolder(tmp_path / "fresh")
    fresh.path.mkdir()
    fresh.space.write_text(format_document(found.resolved_tree()))
    assert load_space(fresh.space).start_points() == found.start_points()
    shutil.rmtree(copy.path)
    resumed, lines = started(space)
    assert resumed.start_points() == found.start_points()
    kept = f"not read, as {fresh.path} has begun, and keeps the start settings"
    assert lines[0].startswith(f"start from {copy.path}: {kept}") and len(lines) == 1
    other, lines = started(space_with(tmp_path, ""), "gone")
    assert other.start_points() == found.start_points()
    assert lines[0].startswith(f"start from gone: {kept}") and len(lines) == 1


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path, earlier: RunFolder) -> None:
    best = best_of(earlier)
    limit = float(str(best[0]["generator.lr"])) * 1.01
    text = SPACE.replace("low: 1e-5", f"low: {limit!r}").replace("kimg: 10", "kimg: 20")
    text = text.replace("  generator:", "  network: {width: {choices: [32, 64]}}\n  generator:")
    found, (line,) = started(space_with(tmp_path, "", text), str(earlier.path))
    fitting = [setting for setting in best if float(str(setting["generator.lr"])) >= limit]
    points = found.start_points()
    assert [point["generator.lr"] for point in points] == [
        setting["generator.lr"] for setting in fitting[:3]
    ]
    assert all(point["network.width"] == 64 for point in points)  # its default, as it was there
    assert "left out: trial" in line
    assert "is outside" in line
    found.first_config()


def test_a_setting_that_is_there_already_is_not_tried_twice(
    tmp_path: Path, earlier: RunFolder
) -> None:
    run = str(earlier.path)
    found, lines = started(space_with(tmp_path, ""), run, run)
    points = found.start_points()
    assert len(points) == len({tuple(sorted(point.items())) for point in points})
    assert len(lines) == 2


def test_of_a_running_search_counts_what_has_ended(tmp_path: Path) -> None:
    run = played_run(tmp_path, stop_after=3, study="toy")
    with run.locked():
        found, (line,) = started(space_with(tmp_path, ""), str(run.path))
    assert "running" in line
    assert 1 <= len(found.start_points()) <= 3


def _damaged(run: RunFolder) -> None:
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join([*lines[:5], b"{not json\n", *lines[5:]]))


_OTHER = """
study: toy
trainer: a.b:c
objective: {score: loss}
trial: {kimg: 10, seed: 0, depth: {low: 1, high: 2}}
"""


@pytest.mark.parametrize(
    ("start", "what"),
    [
        ("{from: gone}", "gone: no such run"),
        ("{from: 3}", "3 is no run"),
        ("{from: toy, top: 0}", "not a number of settings"),
        ("{from: toy, top: true}", "not a number of settings"),
        ("{from: toy, topp: 2}", "did you mean"),
        ("{from: toy, generator.lr: 1e-4}", "unknown key 'generator.lr'"),
        ("{from: empty}", "no trial of it has a score yet"),
        ("{from: damaged}", "damaged"),
        ("{from: nothing}", "not a run of gantune"),
        ("{from: other}", "nothing in common"),
    ],
)
def test_a_wrong_prior_is_a_located_message(
    tmp_path: Path, earlier: RunFolder, monkeypatch: pytest.MonkeyPatch, start: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("damaged", "toy"):
        shutil.copytree(earlier.path, tmp_path / name)
    _damaged(RunFolder(tmp_path / "damaged"))
    (tmp_path / "nothing").mkdir()
    (tmp_path / "fresh-run").mkdir()
    played_run(tmp_path / "fresh-run", stop_after=0, study="toy").path.rename(tmp_path / "empty")
    text = SPACE
    if "other" in start:
        start, text = "{from: toy}", _OTHER + OWN
    with pytest.raises(SpaceError, match=what) as caught:
        started(space_with(tmp_path, f"start:\n  - {start}\n", text))
    assert "new.yaml:" in str(caught.value)
    if start in ("{from: gone}", "{from: empty}"):
        run = start.removeprefix("{from: ").removesuffix("}")
        with pytest.raises(SpaceError, match=f"--prior {run}: .*{what}"):
            started(space_with(tmp_path, ""), run)


def test_an_own_trainer_may_have_a_setting_named_from(tmp_path: Path) -> None:
    text = _OTHER.replace("depth:", "from:") + "start: [{from: 2}]\n"
    (space := tmp_path / "own.yaml").write_text(text)
    found = load_space(space)
    assert found.start_points() == [{"from": 2}]
    assert found.priors == ()
