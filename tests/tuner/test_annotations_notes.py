"""Notes, and text of others in them."""

from __future__ import annotations

import optuna
import pytest

from gantune.tuner.annotations import as_code, as_text
from gantune.tuner.study import Study, note_attributes


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study()


def test_the_dashboard_reads_notes_of_study_and_trials(study: optuna.Study) -> None:
    from optuna_dashboard import get_note

    trials = [study.ask(), study.ask()]
    ours = Study(study, "trial")
    for text in ("x" * 5000, "short", "y" * 2046):
        ours.save_note(text)
        ours.save_note(text[::-1] + "!", 1)
        assert get_note(study) == text
        assert get_note(trials[1]) == text[::-1] + "!"
    assert get_note(trials[0]) == ""


def test_a_note_that_a_person_has_changed_stays(study: optuna.Study) -> None:
    from optuna_dashboard import get_note, save_note

    ours = Study(study, "trial")
    ours.save_note("ours")
    save_note(study, "a person's")
    ours.save_note("ours again")
    assert get_note(study) == "a person's"


def test_a_note_that_is_there_is_not_written_again() -> None:
    attributes = dict(note_attributes("text", 7, {}))
    assert len(attributes) == 2 and not note_attributes("text", 7, attributes)
    assert note_attributes("other", 7, attributes) == {"dashboard:7:note_str:0": "other"}


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "![x](http://a.b/c.png)", "a\n# b", "`c`", "https://a.b", "&lt;"],
)
def test_text_of_others_is_no_markup(text: str) -> None:
    import re

    shown = as_text(text)
    assert "\n" not in shown
    assert re.sub(r"\\(.)", r"\1", shown) == " ".join(text.split())
    assert not re.search(r"(?<!\\)[<>&`#!\[\]:]", shown)


def test_code_cannot_end_its_block() -> None:
    shown = as_code("a\n```\n````\n<script>")
    assert shown.startswith("`````\n") and shown.endswith("\n`````")
