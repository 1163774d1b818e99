"""The page of a search: what it shows for every kind of search, and that no text is markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gantune.errors import RunError
from gantune.health import Verdict
from gantune.report.page.answer import shown_run
from gantune.report.page.page import make_page
from gantune.report.run import Run
from gantune.report.run_data import RunData
from gantune.scores import Protocol, Score
from gantune.trial.records import Outcome, TrialRecord
from tests.canned import make_score
from tests.report.factory import finalist, outcome, search, state, trial
from tests.report.page.reading import carried, elements, words
from tests.report.pages import canned_run, make_run, write_info


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """The canned run, and its page; neither is changed."""
    run = canned_run(tmp_path_factory.mktemp("whole"))
    return run, make_page(run)


EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"


def test_the_answer_comes_first_with_score_spread_ties_and_command(
    whole: tuple[Run, str],
) -> None:
    run, page = whole
    text = words(page)
    answer = text.partition("Leaderboard")[2].partition("All trials")[2].partition("Finals:")[0]
    assert "fid[classifier-digits] of trial 3 , lower is better 8.50 ± 0.50" in answer
    assert "mean of 3 fresh seeds ± their standard deviation; recall 0.60, coverage 0.70" in answer
    assert answer.split("The answer ")[1].startswith("Trial 3 is 1.5 times better than the start")
    assert "start recipe 12.5 ± 0.50" in answer
    assert "recall 0.60, coverage 0.70" in answer
    assert f"gantune train {run.folder.path}/best.yaml" in answer
    assert "trial 3, seed 2, the middle one of 3" in answer  # no lucky seed is shown
    assert "protocol" in answer and "2,000 samples" in answer


def test_a_real_image_stands_beside_the_samples(tmp_path: Path) -> None:
    from gantune.gan.sampling import save_grid
    from tests.report.pages import pictures

    run = canned_run(tmp_path)
    save_grid(pictures(0), run.folder.real)
    shown = [a["alt"] for name, a in elements(make_page(run)) if name == "img" and a.get("src")]
    assert len(shown) == 2 and shown[1] == "Real images"


def test_every_trial_has_a_row_and_details(whole: tuple[Run, str]) -> None:
    page = whole[1]
    rows = [a for name, a in elements(page) if name == "tr" and "data-ending" in a]
    assert [a["data-trial"] for a in rows] == [f"trials/{number:04d}" for number in range(12)]
    details = carried(page, "details")
    assert len(details) == 21
    collapsed = details["trials/0008"]
    assert [name for name, _ in collapsed["facts"]].count("try") == 3
    assert collapsed["lines"] == ["discriminator_won: it collapsed"]
    assert collapsed["command"] == f"gantune stabilize '{whole[0].folder.path}#8'"
    best = details["trials/0000"]
    assert best["command"] == f"gantune train '{whole[0].folder.path}#0'"
    assert all(len(one["lines"]) == 1 and one["lines"][0] for one in details.values())
    assert details["trials/0003"]["lines"] == ["Trained to its end: number 1 of 3 with a score."]
    assert details["finalists/0000"]["command"].endswith("finalists/0000/config.yaml")
    assert collapsed["config"] == "# of trials/0008\nseed: 8\n"
    assert ["G lr", "1.91e-3"] in collapsed["params"]
    assert len(collapsed["kimg"]) == 8 and collapsed["signals"][0][0] == "D loss"
    assert details["trials/0003"]["scores"] == [[10, 14.0], [20, 11.0], [30, 9.01]]
    pictures = carried(page, "pictures")
    assert [kimg for kimg, _ in pictures["trials/0003"]] == [10, 20, 30, 40]


def test_no_text_from_users_is_read_as_markup(tmp_path: Path) -> None:
    crashed = Outcome("crashed", 3.0, error=f"Traceback\nValueError: {EVIL}")
    stopped = Outcome("diverged", 3.0, verdict=Verdict("diverged", "exploding", 3.0, EVIL))
    trials = [
        trial(0, outcome("completed", value=9.0), params={EVIL: EVIL, "generator.lr": 1e-3}),
        trial(1, crashed, params={EVIL: "b", "generator.lr": 2e-3}),
        trial(2, stopped, params={EVIL: "c", "generator.lr": 3e-3}),
    ]
    run = make_run(tmp_path / EVIL.replace("/", ""), trials, study=EVIL, winner=None, ranking=())
    (run.folder.trial("trials/0000").config).write_text(EVIL)
    page = make_page(run)
    found = elements(page)
    allowed = {"figures", "plotly", "details", "pictures", None}
    assert {a.get("id") for name, a in found if name == "script"} <= allowed
    assert not any("onerror" in a for _, a in found)
    assert EVIL in words(page)  # it is shown as it is
    details = carried(page, "details")
    assert details["trials/0000"]["config"] == EVIL
    drawn = str(carried(page, "figures"))
    assert "<script" not in drawn and "<img" not in drawn


def test_without_survivors_the_page_says_so_and_what_to_do(tmp_path: Path) -> None:
    run = make_run(tmp_path, [trial(k, outcome("collapsed", 6.0)) for k in range(4)])
    text = words(make_page(run))
    assert "No answer yet" in text and "No trial has survived" in text
    assert "--set stability=lenient" in text
    assert "for trial 0: " in text and "gantune stabilize" in text
    assert "All 4 of 4 trials came apart" in text
    assert "Leaderboard" not in text and "All trials" in text


def test_a_search_of_one_trial_is_a_page(tmp_path: Path) -> None:
    run = make_run(tmp_path, [trial(0, outcome("completed", value=9.0))], is_over=False)
    text = words(make_page(run))
    assert (
        "Best so far" in text and "9.00, the start recipe itself, on one seed; the finals" in text
    )
    assert "Fewer than 10 trials" in text


def test_a_search_that_has_just_started_is_a_page(tmp_path: Path) -> None:
    run = make_run(tmp_path, [], is_over=False)
    with run.folder.locked():
        page = make_page(run)
    assert "No trial has started yet." in words(page) and 'data-reload="60"' in page


def test_a_running_search_reloads_its_page_and_a_stopped_one_says_how_to_resume(
    tmp_path: Path,
) -> None:
    run = canned_run(tmp_path, is_over=False, winner=None)
    write_info(run.folder, command="gantune search dcgan --trials 24")
    with run.folder.locked():
        page = make_page(run)
    assert 'data-reload="60"' in page and "running" in words(page)
    assert "Best so far" in words(page) and "Resume it with:" not in words(page)
    page = make_page(RunData(run.state))
    assert "data-reload" not in page
    assert "Resume it with: gantune search dcgan --trials 24" in words(page)


def test_a_trainers_own_score_and_signals_without_pictures(tmp_path: Path) -> None:
    protocol = Protocol.external("loss<b>", "train.py:train")
    trials = [
        trial(
            k, Outcome("completed", 40.0, score=Score.external(2.0 + k, protocol), best_kimg=40.0)
        )
        for k in range(3)
    ]
    run = RunData(state(trials, folder=tmp_path))
    for record in trials:
        home = run.folder.trial(record.name)
        home.path.mkdir(parents=True)
        for kimg in (1.0, 2.0):
            home.add_tick({"kimg": kimg, "critic": 1.5, "seconds": 3.0, "images_per_second": 9.0})
        home.add_score(
            {
                "kimg": 2.0,
                "rung": None,
                "scoring_seconds": 0.0,
                **Score.external(2.0, protocol).to_dict(),
            }
        )
    page = make_page(run)
    text = words(page)
    assert "loss<b> of trial 0 , lower is better 2.00" in text and "critic" in text
    assert "No pictures" in text and "it has no recall or coverage" in text
    assert "Samples of all trials" not in text


def test_points_have_pictures_of_their_own_size(tmp_path: Path) -> None:
    import torch

    from gantune.gan.sampling import save_grid

    run = make_run(tmp_path, [])
    record = trial(0, outcome("completed", value=9.0))
    home = run.folder.trial(record.name)
    home.path.mkdir(parents=True)
    save_grid(torch.rand(500, 2), home.grid(40.0))
    write_info(run.folder, rung_protocol=None)
    page = make_page(RunData(replace(run.state, trials=(record,))))
    ((_, picture),) = carried(page, "pictures")["trials/0000"]
    assert len(picture) > 500 and "Samples of all trials" in words(page)


def test_it_is_written_whole_and_an_unwritable_path_is_named(tmp_path: Path) -> None:
    run = canned_run(tmp_path / "run")
    assert run.report() == run.folder.report
    assert run.folder.report.read_text().endswith("</html>\n")
    target = tmp_path / "file"
    target.write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        run.report(target / "report.html")


def test_it_needs_no_network(whole: tuple[Run, str]) -> None:
    for name, attributes in elements(whole[1]):
        for key in ("src", "href", "srcset", "action"):
            value = attributes.get(key) or ""
            assert not value or value.startswith(("#", "data:")), (name, key, value)


def test_a_broken_picture_and_a_missing_config_are_left_out(tmp_path: Path) -> None:
    run = canned_run(tmp_path)
    home = run.folder.trial("trials/0003")
    home.grid(40.0).write_bytes(b"half a picture")
    home.config.unlink()
    page = make_page(RunData(run.state))
    assert [kimg for kimg, _ in carried(page, "pictures")["trials/0003"]] == [10, 20, 30]
    assert "config" not in carried(page, "details")["trials/0003"]


def test_the_finals_have_details_too(whole: tuple[Run, str]) -> None:
    assert carried(whole[1], "details")["finalists/0001"]["title"] == "trial 0, seed 1"


@pytest.mark.parametrize(
    ("seeds", "shown", "said"),
    [
        (1, 0, "seed 0)"),
        (2, 1, "seed 1, the worse of 2)"),
        (3, 1, "seed 1, the middle one of 3)"),
        (4, 2, "seed 2, the worse of the middle two of 4)"),
        (5, 2, "seed 2, the middle one of 5)"),
    ],
)
def test_the_samples_are_never_of_the_luckier_seed(
    tmp_path: Path, seeds: int, shown: int, said: str
) -> None:
    runs = [finalist(n, 0, n, outcome("completed", value=10.0 + n)) for n in range(seeds)]
    run = make_run(tmp_path, [trial(0, outcome("completed", value=9.0))], runs)
    found = shown_run(run)
    assert found is not None and found.name == f"finalists/{shown:04d}"
    assert said in words(make_page(run))


@pytest.mark.parametrize(
    ("trials", "bars"),
    [
        # The start recipe has 12.06 and trial 3 has 8.1, so its bar is 67.2% as long.
        (search(), ["67.2", "100.0"]),
        ([record for record in search() if record.number != 0], []),
        ([trial(0, outcome("completed", value=9.0))], []),
    ],
)
def test_the_start_recipe_stands_beside_the_best(
    tmp_path: Path, trials: list[TrialRecord], bars: list[str]
) -> None:
    renumbered = [replace(record, number=k) for k, record in enumerate(trials)]
    page = make_page(make_run(tmp_path, renumbered))
    found = [a["style"] for _, a in elements(page) if (a.get("class") or "").startswith("bar ")]
    found += [a["style"] for _, a in elements(page) if a.get("class") == "bar"]
    assert found == [f"width:{share}%" for share in bars]


def test_both_learning_rates_are_among_the_settings_where_only_one_was_searched(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path, [trial(0, outcome("completed", value=9.0), params={"loss": "hinge"})])
    run.__dict__["hyperparameters"] = {0: {"generator.lr": 2e-4, "discriminator.lr": 1e-4}}
    assert "loss hinge G lr 2e-4 D lr 1e-4" in words(make_page(run))


def test_nothing_is_green_where_nothing_was_learned(tmp_path: Path) -> None:
    nothing = replace(outcome("completed"), score=make_score(80.0, recall=0.0))
    page = make_page(make_run(tmp_path, [trial(0, nothing)]))
    assert "Nothing learned yet: recall is 0.00 everywhere" in words(page)
    assert 'class="big amber"' in page and 'class="first amber"' in page
    page = make_page(make_run(tmp_path / "other", [trial(0, outcome("completed", value=9.0))]))
    assert (
        'class="big"' in page and "amber" not in page.partition("</style>")[2].split("<script")[0]
    )
