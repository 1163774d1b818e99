"""Finds a run, a trial, a config or a checkpoint by the name that a user gives."""

import json
from pathlib import Path

from gantune.errors import RunError
from gantune.io.formatting import number_ranges, whole_number
from gantune.io.yaml_document import as_comment
from gantune.run_folder.run import RunFolder, find_run, find_trial
from gantune.run_folder.trial import TrialFolder
from gantune.trial.records import Outcome, TrialRecord, describe_outcome
from gantune.tuner.descriptions import describe_trial
from gantune.tuner.state import RunState, read_run


def find_run_or_trial(name: str) -> tuple[RunFolder, int | None]:
    """A run, and the trial's number where the name has one: ``dcgan#7``. Raises ``RunError``."""
    return find_trial(name) if _names_trial(name) else (find_run(name), None)


def find_config(name: str) -> tuple[Path, Path]:
    """The file of a config, and the folder for training it.

    ``name``: a file, a run (its ``best.yaml``), or a trial such as ``dcgan#7``. The training
    of ``runs/dcgan/best.yaml`` lies in ``runs/dcgan/best``. Raises ``RunError``.
    """
    if _names_trial(name):
        run, number = find_trial(name)
        return _trial(run, number).config, run.path / f"trial-{number:04d}"
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = find_run(name).best
    return path, path.with_suffix("")


def check_failed(name: str) -> None:
    """Raises ``RunError`` for a trial, such as ``dcgan#7``, that ended without a verdict."""
    if not _names_trial(name):
        return
    run, number = find_trial(name)
    folder = _trial(run, number)
    if not folder.has_verdict:
        return
    try:
        outcome = Outcome.from_dict(json.loads(folder.verdict.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError):
        return  # a damaged file tells nothing
    if outcome.verdict is None:
        raise RunError(
            f"{name}: no rule of health has stopped it: "
            f"{describe_outcome(f'trial {number}', outcome)}; to stabilize its config all the "
            f"same, name its file, {folder.config}"
        )


def is_of_run(config: Path) -> bool:
    """Whether a config lies in the folder of a search or a training, and not by itself.

    So it was written by gantune, maybe that of somebody else.
    """
    homes = {*config.absolute().parents, *config.resolve().parents}
    if any((home / "run.json").exists() for home in homes):
        return True
    beside = {config.absolute().parent, config.resolve().parent}
    return any((home / "ticks.jsonl").exists() for home in beside)


def find_checkpoint(name: str, *, must_exist: bool = True) -> Path:
    """A checkpoint's file, named by its path, its folder, or a trial such as ``dcgan#7``.

    Raises ``RunError``, also for a checkpoint of an external trainer.
    """
    is_trial = _names_trial(name)
    folder = _trial(*find_trial(name)) if is_trial else TrialFolder(Path(name))
    for place in (folder, TrialFolder(folder.path.parent)):  # its folder, or one of its copies
        text = place.config.read_text(encoding="utf-8") if place.config.exists() else ""
        if any(line.startswith("trainer:") for line in text.splitlines()):
            raise RunError(
                f"{name}: the checkpoint of another trainer, which gantune cannot read; its "
                f"files are in {place.external_best}: sample or resume from them with your code, "
                "and score images with `gantune evaluate FOLDER --data SOURCE`"
            )
    path = folder.best if is_trial else Path(name)
    if not is_trial and not path.is_dir():
        return path
    checkpoint = path / "best.pt" if path.is_dir() else path
    if must_exist and not checkpoint.exists():
        if (path / "run.json").exists():
            raise RunError(f"{name}: a whole run; name a trial of it, such as {name}#0")
        run = RunFolder(checkpoint.parent.parent.parent)
        kept = number_ranges(
            number for number in _numbers(run) if _folder(run, number).best.exists()
        )
        raise RunError(
            f"{name}: has no checkpoint; they are kept for the ten best trials"
            f"{f', here {kept}' if kept else ''}"
        )
    return checkpoint


def find_winning_checkpoint(name: str) -> Path:
    """As ``find_checkpoint``; a run, by its folder or its study's name, gives its winner's.

    That is ``RunState.best_training``, the winner's trial or final with the best score.
    """
    path = Path(name)
    is_run = (path / "run.json").exists() or not (path.exists() or path.suffix)
    if _names_trial(name) or not is_run:
        return find_checkpoint(name)
    state = read_run(find_run(name))
    best = state.best_training
    if best is None:
        raise _no_score(state)
    folder = state.folder.trial(best.name)
    if not folder.path.exists():
        raise RunError(
            f"{folder.path}: the winner's folder was deleted; name a trial that is left, such as "
            f"{name}#NUMBER{_left(state.folder)}"
        )
    return find_checkpoint(str(folder.path))


def start_folder(checkpoint: Path) -> Path:
    """The folder for a training that starts from a checkpoint.

    For trial 7 of ``runs/dcgan`` this is ``runs/dcgan/from-trials-0007``; for a training in
    ``mine`` it is ``from-mine`` beside that.
    """
    home = checkpoint.parent
    for run in home.parents:
        if (run / "run.json").exists():
            return run / f"from-{'-'.join(home.relative_to(run).parts)}"
    return home.parent / f"from-{home.resolve().name}"


def find_record(state: RunState, number: int) -> TrialRecord:
    """Trial ``number``. Raises ``RunError`` if it does not exist."""
    for record in state.trials:
        if record.number == number:
            return record
    numbers = number_ranges(record.number for record in state.trials)
    there = f"it has {numbers}" if numbers else "it has none yet"
    raise RunError(f"{state.folder.path}: has no trial {number}; {there}")


def best_config(state: RunState) -> str:
    """The text of ``best.yaml``. Raises ``RunError`` if there is none."""
    if not state.folder.best.exists():
        raise _no_score(state)
    return state.folder.best.read_text(encoding="utf-8")


def pick_trial(state: RunState, number: int) -> str:
    """The config of one trial under a comment on how it ended. Raises ``RunError``."""
    record = find_record(state, number)
    if record.value is not None:
        words = describe_trial(record)
    elif record.outcome is not None:
        words = describe_outcome(f"trial {number}", record.outcome)
    else:
        words = f"trial {number}, not ended"
    config = _trial(state.folder, number).config
    return f"{as_comment(words)}\n{config.read_text(encoding='utf-8')}"


def top_configs(state: RunState, most: int) -> list[str]:
    """Configs of the ``most`` best trials, at most.

    The finalists come first, in their order, then the other survivors by their single score.
    Trials whose folder was deleted are left out. Raises ``RunError`` if no trial has a score.
    """
    if not state.survivors:
        raise _no_score(state)
    finalists = [ranked.origin for ranked in state.ranking] if state.winner else []
    ranked_ones = dict.fromkeys([*finalists, *(record.number for record in state.survivors)])
    numbers = [number for number in ranked_ones if _folder(state.folder, number).config.exists()]
    if not numbers:
        raise RunError(f"{state.folder.path}: the folders of all trials with a score were deleted")
    return [pick_trial(state, number) for number in numbers[:most]]


def _names_trial(name: str) -> bool:
    return "#" in name and not Path(name).exists()


def _trial(run: RunFolder, number: int) -> TrialFolder:
    folder = _folder(run, number)
    if not folder.path.exists():
        raise RunError(f"{run.path}: has no trial {number}, or its folder was deleted{_left(run)}")
    return folder


def _folder(run: RunFolder, number: int) -> TrialFolder:
    return run.trial(f"trials/{number:04d}")


def _numbers(run: RunFolder) -> list[int]:
    """The trials whose folders are there."""
    names = (path.name for path in run.path.glob("trials/*"))
    return sorted(found for name in names if (found := whole_number(name)) is not None)


def _left(run: RunFolder) -> str:
    there = number_ranges(_numbers(run))
    return f"; there are {there}" if there else "; there are none"


def _no_score(state: RunState) -> RunError:
    return RunError(f"{state.folder.path}: no trial has a score yet, so none is best")
