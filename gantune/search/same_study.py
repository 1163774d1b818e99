"""A study belongs to one space and one protocol: that of another search is left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from optuna.storages import BaseStorage

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.search.study import Study
from gantune.space import SearchSpace

__all__ = ["begin_study", "check_same_study"]


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
