"""Recovery of a killed search; ``docs/resume.md`` explains it.

A killed search is resumed by running its command again. Every start takes the same steps, as a
killed search cannot be told from one that ended, or from a new one:

1. ``check_same_space``: the run folder must not hold another search. Nothing is written before.
2. ``RunFolder.locked``: the folder must not be in use.
3. ``repair_journal``: removes the incomplete last line.
4. ``open_study``: the study must belong to this search. In a database, this process then takes
   its lease (``storage/lease.py``).
5. ``check_same_protocol`` and ``check_same_study``: protocol and space must be those of
   ``run.json`` and of the study's attributes.
6. ``enqueue_start_points``: queues the start points that are missing in the study.
7. ``write_missing_outcomes``: writes outcomes that are in the study and not in the run folder.
8. ``unfinished``: the driver hands out unfinished runs again, before any new one.
9. ``recover_outcome``: a run that has ended in its folder but not in the study is not trained
   again; its outcome is added to the study.
10. The others resume from their last checkpoint (``gantune.trial``).
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from optuna.storages import BaseStorage

from gantune.config import dump_config
from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace, load_space, space_differences
from gantune.trial.records import Assignment, Outcome, TrialRecord
from gantune.tuner.annotations import annotate_outcome
from gantune.tuner.assignments import Assignments
from gantune.tuner.finals.finalists import PlannedFinal
from gantune.tuner.results import write_outcome
from gantune.tuner.study import Study, make_sampler

_log = logging.getLogger(__name__)


def check_same_space(folder: RunFolder, space: SearchSpace) -> None:
    """Raises ``RunError`` where the run folder holds a search of another study or space."""
    if not folder.space.exists():
        return
    earlier = load_space(folder.space)
    if earlier.study != space.study:
        raise RunError(
            f"{folder.path}: holds the study {earlier.study!r}, not {space.study!r}; choose "
            "another folder with --out"
        )
    if earlier.hash == space.hash:
        return
    listed = "\n  ".join(space_differences(earlier, space))
    raise RunError(
        f"{folder.path}: holds a search of another space; what differs:\n  {listed}\n"
        "resume with the space as it was, or choose another folder with --out"
    )


def repair_journal(path: Path) -> None:
    """Removes an incomplete line from the journal's end, and the lock of the dead writer.

    Only the run's driver may call it, before it opens the journal.
    """
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def open_study(storage: BaseStorage, space: SearchSpace, folder: RunFolder) -> None:
    """Creates the study of a space where there is none.

    Raises ``RunError``, with nothing written, where the study belongs to another search.
    """
    study = Study.read(storage, space.study, "trial")
    finals = Study.read(storage, f"{space.study}.finalists", "finalist")
    if study is not None:
        check_same_study(study, {"space": space.hash}, folder.path)
        for each in (study, finals):
            _check_whole(each, folder.path)
        return
    if finals is not None and finals.records():
        raise RunError(
            f"{folder.path}: the storage holds finalists of a study {space.study!r} that was "
            f"deleted; delete the study '{space.study}.finalists' too, or give this one another "
            "name, such as --set study=mine"
        )
    Study.open(storage, space.study, "trial")


def _check_whole(study: Study | None, path: Path) -> None:
    """Raises ``RunError`` where trials before the last were deleted: Optuna counts the rows to
    number the next one, and would give a number twice."""
    numbers = [] if study is None else study.numbers()
    if study is None or sorted(numbers) == list(range(len(numbers))):
        return
    missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
    what = f"lacks {study.kind} {missing[0]}" if missing else f"has a {study.kind} number twice"
    raise RunError(
        f"{path}: the storage {what}, as another program deleted some; put back an earlier "
        "copy of it, or search into another folder with --out under another name, such as --set "
        "study=mine"
    )


def check_same_study(study: Study, identity: Mapping[str, str], path: Path) -> None:
    """Raises ``RunError`` where the study's attributes differ from ``identity``.

    Also where the study has trials and no such attributes: another program created it.
    """
    remedy = "give this one another name, such as --set study=mine"
    attributes = study.attributes
    if "space" not in attributes and study.numbers():
        raise RunError(
            f"{path}: the storage holds a study of this name that gantune did not create; {remedy}"
        )
    for name, value in identity.items():
        if attributes.get(name, value) != value:
            raise RunError(
                f"{path}: the storage holds a study of this name already, of another {name} "
                f"({attributes[name]}, not {value}); {remedy}"
            )


def enqueue_start_points(study: Study, space: SearchSpace) -> None:
    """Puts the space's ``start`` entries into the queue that are not there yet: all of them at
    first, and those that were added to the file since.

    Where they are the whole search, as in ``stabilize``, only the first is marked as a start
    recipe: the one with which the others are compared.
    """
    points, begun = space.start_points(), study.start_points
    is_all = space.budget.trials is not None and len(points) >= space.budget.trials
    for number, params in enumerate(points[begun:], start=begun):
        study.enqueue(params, start=number == 0 or not is_all)


def write_missing_outcomes(folder: RunFolder, records: Iterable[TrialRecord]) -> bool:
    """Writes each ``verdict.json`` that is missing; returns whether any run has ended."""
    ended = [
        (folder.trial(record.name), record.outcome)
        for record in records
        if record.outcome and not record.is_paused
    ]
    for home, outcome in ended:
        if not home.has_verdict:
            write_outcome(home, outcome)
    return bool(ended)


def unfinished(
    space: SearchSpace, trials: Study, finals: Study, assignments: Assignments
) -> Iterator[Assignment]:
    """The runs that an earlier driver left unfinished, each with the config it had."""
    for record in trials.records():
        if record.outcome is None and record.budget_kimg:  # it is stored after the parameters
            yield assignments.again(record)
        elif record.outcome is None:
            sampler = make_sampler(space.sampler, record.number)
            yield assignments.new(trials.redraw(record.number, sampler))
    for record in finals.records():
        if record.outcome is None and record.origin is not None and record.seed is not None:
            run = PlannedFinal(record.origin, record.seed, record.budget_kimg)
            space.sample_config(finals.trial(record.number))  # stores what a kill left out
            yield assignments.finalist(record.number, run, trials.record(record.origin))


def recover_outcome(study: Study, folder: RunFolder, assignment: Assignment) -> bool:
    """Adds an outcome to the study that is only in the run's folder; whether there is one."""
    home = folder.trial(assignment.name)
    try:
        if home.config.read_text(encoding="utf-8") != dump_config(assignment.config):
            return False
        outcome = Outcome.from_dict(json.loads(home.verdict.read_text(encoding="utf-8")))
        rungs = {
            line["rung"]: (line["value"], line.get("error"))
            for line in home.scores()
            if line["rung"]
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # missing or damaged
        return False
    for rung, (value, error) in rungs.items():
        study.report(assignment.number, rung, value, error)
    annotate_outcome(study, folder, assignment, outcome)
    study.tell(assignment.number, outcome, assignment.config.kimg)
    _log.warning("%s had ended already; its outcome was read from its folder", assignment.name)
    return True
