"""How many logs of other people's trainers `gantune diagnose` reads without an option.

    python -m benchmarks.public_logs --logs PATH

``public_logs.tsv`` lists logs that people published beside their code: the repository, its commit,
the file, and what the file contains of ``d_loss``, ``g_loss`` and ``fid``. ``--logs``: a folder
with these files as ``REPOSITORY/FILE``; the file ``NOTEBOOK.ipynb#CELL`` has what that cell
printed. They were chosen before gantune had read any of them. A log is read if all that it contains
is found.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.publish import RESULTS, ROOT, Report, table
from gantune.errors import LogError
from gantune.health.diagnosis import Diagnosis, diagnose

__all__ = ["PublicLog", "main", "read_list", "report"]

LIST = ROOT / "benchmarks" / "public_logs.tsv"


@dataclass(frozen=True)
class PublicLog:
    """One file of a public repository."""

    repository: str
    commit: str
    file: str
    contains: frozenset[str]
    """The losses and scores in it; empty for a file without any."""


def read_list() -> list[PublicLog]:
    """All logs in the list."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return [
            PublicLog(**row | {"contains": frozenset(row["contains"].split())})
            for row in csv.DictReader(file, delimiter="\t")
        ]


def _diagnosed(path: Path) -> Diagnosis | str:
    """The diagnosis of a log, or why there is none."""
    try:
        return diagnose(path)
    except LogError as error:
        return str(error)


def _told(result: Diagnosis | str) -> str:
    if isinstance(result, str):
        return "not read"
    rule = f", {result.verdict.rule}" if result.verdict else ""
    return f"{result.kind}{rule}: {result.records} records of {', '.join(result.measured)}"


def _line(name: str, found: Sequence[tuple[PublicLog, Diagnosis | str]]) -> list[str]:
    known = [(log, result) for log, result in found if log.contains]
    read = [
        result
        for log, result in known
        if isinstance(result, Diagnosis) and log.contains <= {*result.measured}
    ]
    kinds = [result.kind for result in read]
    verdicts = sum(kind not in ("healthy", "not judged") for kind in kinds)
    repositories = len({log.repository for log, _ in known})
    return [
        *(name, f"{len(known)}", f"{repositories}", f"{len(read)} ({len(read) / len(known):.0%})"),
        *(f"{kinds.count('healthy')}", f"{verdicts}", f"{kinds.count('not judged')}"),
    ]


def report(found: Sequence[tuple[PublicLog, Diagnosis | str]]) -> str:
    """The table as Markdown. Of each two logs in a row the first is of the first half."""
    columns = (
        *("logs", ">number", ">repositories", ">read without an option"),
        *(">healthy", ">a verdict", ">not judged"),
    )
    halves = [("first half", found[::2]), ("second half", found[1::2]), ("all", found)]
    empty = sum(not log.contains for log, _ in found)
    return (
        table(columns, [_line(name, half) for name, half in halves])
        + f"\n\nFiles without any loss or score, not counted: {empty}. By "
        "`python -m benchmarks.public_logs`."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it to the results and the page."""
    given = _parser().parse_args(arguments)
    logs = read_list()
    found = [(log, _diagnosed(given.logs / log.repository / log.file)) for log in logs]
    text = report(found)
    tree = {f"{log.repository}/{log.file}": _told(result) for log, result in found}
    place = Report("public_logs", torch.device("cpu"), given.results, given.page)
    place.write(tree, "Logs of other trainers", text)
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--logs", type=Path, required=True, help="folder with REPOSITORY/FILE")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "health.md")
    return parser


if __name__ == "__main__":
    main()
