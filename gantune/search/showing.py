"""What a driver leaves in the study for dashboards: pictures and notes, as trials go on and end."""

from __future__ import annotations

from gantune.run_folder.run import RunFolder
from gantune.search.note_texts import Shown, finals_note, picked_grid, study_note, trial_note
from gantune.search.pictures import link_pictures
from gantune.search.state import RunState
from gantune.search.study import Study
from gantune.trial.records import Assignment, Outcome

__all__ = ["show_ending", "show_pictures", "show_search"]

_NOTED = 500  # trials; to list n trials with m notes takes optuna-dashboard a time like n times m
_BEST = 10  # a later one has a note where it is among so many


def show_pictures(study: Study, folder: RunFolder, assignment: Assignment) -> list[Shown]:
    """Adds the pictures that a run has by now to its trial, which must not have ended."""
    pictures = link_pictures(folder, assignment.name)
    study.attach(assignment.number, pictures)
    return [Shown(one, study.picture_url(assignment.number, one)) for one in pictures]


def show_ending(study: Study, folder: RunFolder, assignment: Assignment, outcome: Outcome) -> None:
    """The same, and the trial's note; to be called before the study is told that it has ended."""
    shown = show_pictures(study, folder, assignment)
    if assignment.number < _NOTED or _is_among_best(study, outcome):
        study.save_note(trial_note(folder, assignment, outcome, shown), assignment.number)


def show_search(trials: Study, finals: Study, state: RunState, header: str) -> None:
    """The notes on a search's two studies, where they are not what they were."""
    best = None
    if state.best is not None and state.best.outcome is not None:
        pictures = link_pictures(state.folder, state.best.name)
        number = state.best.number
        shown = [Shown(one, trials.picture_url(number, one)) for one in pictures]
        best = picked_grid(shown, state.best.outcome.best_kimg)
    trials.save_note(study_note(state, header, best))
    if state.finalists:
        finals.save_note(finals_note(state.study))


def _is_among_best(study: Study, outcome: Outcome) -> bool:
    if outcome.score is None:
        return False
    value = outcome.score.value
    better = [r for r in study.records() if r.value is not None and r.value <= value]
    return len(better) < _BEST
