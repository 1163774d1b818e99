"""A study belongs to one space and one protocol: that of another search is left as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from optuna.storages import BaseStorage

from gantune.config import AnyConfig, dump_config
from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.space import SearchSpace, load_space, space_differences
from gantune.trial.records import Outcome
from gantune.tuner.study import Study


def begin_study(storage: BaseStorage, space: SearchSpace, folder: RunFolder) -> None:
    """Makes a space's study where there is none.

    Raises ``RunError``, with nothing written, where one of this name is not this search's.
    """
    study = Study.read(storage, space.study, "trial")
    if study is not None:
        check_same_study(study, {"space": space.hash}, folder.path)
        return
    finals = Study.read(storage, f"{space.study}.finalists", "finalist")
    if finals is not None and finals.records():
        raise RunError(
            f"{folder.path}: the storage holds finalists of a study {space.study!r} that is gone; "
            f"delete the study '{space.study}.finalists' too, or name this one otherwise, such as "
            "--set study=mine"
        )
    Study.open(storage, space.study, "trial")


def check_same_study(study: Study, now: Mapping[str, str], path: Path) -> None:
    """Raises ``RunError`` where the study's notes say otherwise than ``now``, or where it has
    trials and no notes, so that another program began it."""
    way_out = "name this one otherwise, such as --set study=mine"
    noted = study.attributes
    if "space" not in noted and study.numbers():
        raise RunError(
            f"{path}: the storage holds a study of this name already, which gantune did not begin; "
            f"{way_out}"
        )
    for name, value in now.items():
        if noted.get(name, value) != value:
            raise RunError(
                f"{path}: the storage holds a study of this name already, of another {name} "
                f"({noted[name]}, not {value}); {way_out}"
            )


def read_ending(
    folder: TrialFolder, config: AnyConfig
) -> tuple[Outcome, dict[float, float]] | None:
    """How a run of ``config`` has ended, and its scores by rung; ``None`` where its folder does not
    tell."""
    try:
        if folder.config.read_text(encoding="utf-8") != dump_config(config):
            return None
        outcome = Outcome.from_dict(json.loads(folder.verdict.read_text(encoding="utf-8")))
        return outcome, {line["rung"]: line["value"] for line in folder.scores() if line["rung"]}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # damaged: it is trained again
        return None


def _check_same_space(folder: RunFolder, space: SearchSpace) -> None:
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
        "go on with the space as it was, or choose another folder with --out"
    )


def repair_journal(path: Path) -> None:
    """Cuts a line torn by a crash off the journal's end, and removes the dead writer's lock.

    To be called by the run's only driver, before it opens the journal.
    """
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
