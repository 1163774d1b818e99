"""What cures failing configs: the record of each remedy, measured.

    python -m benchmarks.cures record [--data PATH] [--table digits] [--remedies NAME ...]
    python -m benchmarks.cures judge [--data PATH] [--table digits] [--processes 2] [--minutes 120]

Configs are drawn from the space of a recorded sweep (``benchmarks/sweep.py``). One fails when at
least two of its three seeds get a verdict of health. The first failing ones are to learn from, the
later ones to judge by. Nearly all of these learn too little in their length. So there is a table
``wide`` for the other verdicts: the space of ``digits``, with rates of up to 1, and a rate and a
beta1 of the discriminator's own. Of its settings that fail by one rule, in their order, the first
is to learn from, the second to judge by, the third to learn from, and so on.

``record``: on every second one to learn from, and on each of ``wide``, each remedy that answers the
verdict is tried alone, at the config's own length, on one fresh seed. A remedy has saved the run if
there is no verdict, and cured it if its last score is also in the better half of the sweep's
healthy runs. The counts of each table are written to ``results/cures_record.json``, and their sum
to ``gantune/health/remedies/record.json``, which gantune reads. With ``--remedies`` only these are
tried, and the counts of the others stay.

``judge``: ``gantune stabilize`` gets each config to judge by. What it answers is trained at the
config's length on three fresh seeds. It is cured if at least two get no verdict and the median of
the last scores is in the better half of the sweep's healthy runs. So is the first remedy that
gantune proposes for the verdict, and configs that do not fail are trained on fresh seeds to see
whether they are called healthy. Each answer is written to ``results/cures_cpu.json`` when it is
known; an interrupted measurement resumes from there, also without ``--work``.

Each run is written to ``--work`` when it ends, so an interrupted benchmark resumes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.curves import Curves, read_curves
from benchmarks.health_replay import RUNGS, failure, replay
from benchmarks.publish import RESULTS, ROOT, Report, describe_machine
from benchmarks.publish import table as table_text
from benchmarks.sweep import TABLES, Table, scoring, write_missing
from gantune.config import TrialConfig, absolute_source, make_config
from gantune.data import resolved
from gantune.errors import ScoreError
from gantune.gan.trainer import Trainer
from gantune.health import HealthMonitor
from gantune.health.remedies import REMEDIES, plain_values, proposals, with_values
from gantune.health.rules import RULES
from gantune.io.files import write_text
from gantune.tuner.options import Options
from gantune.tuner.variants.stabilize import stabilize
from gantune.tuner.variants.tried import Tried

Counts = dict[str, dict[str, dict[str, int]]]
"""For each rule and remedy: how many configs it was tried on, saved and cured."""

WIDE_RATES = (1e-5, 1.0)
"""The range of both learning rates in ``wide``."""
WIDE = Table(
    "wide",
    TABLES["digits"].shipped,
    (
        *TABLES["digits"].changes,
        *(
            f"trial.{player}.lr={{low: {WIDE_RATES[0]}, high: {WIDE_RATES[1]}, log: true}}"
            for player in ("generator", "discriminator")
        ),
        "trial.discriminator.beta1={low: 0.0, high: 0.999}",
    ),
    TABLES["digits"].resolution,
    TABLES["digits"].kimg,
    160,
)
"""Settings that fail in more ways than those of ``digits``. They have its data and length, and are
measured by its healthy runs. No sweep of them is recorded."""
SOURCES = {"digits": TABLES["digits"], "fashion": TABLES["fashion"], "wide": WIDE}
"""The tables that configs are drawn from."""
LEARNED = {"digits": 60, "fashion": 0, "wide": 5}
"""Failing configs of each table to learn from: its first ones; in ``wide``, for each rule. On
``fashion`` all are to judge by, as the order of remedies was learned on the digits alone."""
JUDGED = {"digits": 30, "fashion": 10, "wide": 5}
"""Failing configs of each table to judge by, after those, in ``wide`` between them; fewer where the
table has fewer."""
HEALTHY = {"digits": 40, "fashion": 0, "wide": 0}
"""Configs of each table that do not fail."""
SEEDS = (0, 1, 2)
_PACE = {name for name, rule in RULES.items() if rule.is_about_pace()}
RECORD = ROOT / "gantune" / "health" / "remedies" / "record.json"
FRESH = 100
"""The seed on which remedies are tried."""


@dataclass(frozen=True)
class Job:
    """One training."""

    table: str
    configuration: int
    remedy: str
    """One, or two that are joined by ``+``; empty for the config as it is."""
    seed: int
    changes: tuple[tuple[str, Any], ...] = ()
    """Other values of the config by dotted path, where ``remedy`` is only a name for them."""

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.configuration:04d}-{self.remedy or 'as_it_is'}-{self.seed}"


def config_of(job: Job) -> TrialConfig:
    """What a job trains, before the data is known."""
    config, _ = SOURCES[job.table].draw(job.configuration)
    if job.changes:
        changed = make_config(with_values(plain_values(config), dict(job.changes)))
        return changed.replaced(seed=job.seed)
    for name in filter(None, job.remedy.split("+")):
        cured = REMEDIES[name].applied(config)
        assert cured is not None, f"{name} does not apply"
        config = cured
    return config.replaced(seed=job.seed)


def run(job: Job, data: str | None) -> dict[str, Any]:
    """Trains until a verdict or the end: the verdict, the scores at the rungs, and the cost."""
    torch.set_num_threads(1)
    scored = scoring(SOURCES[job.table], data)
    config = resolved(config_of(job), scored.real.learned)
    trainer = Trainer(config, scored.real.learned, "cpu", scored.real.held_out)
    monitor = HealthMonitor(
        config.loss, budget_kimg=config.kimg, label_smoothing=config.label_smoothing
    )

    def score() -> float | None:
        try:
            found = scored.evaluator.score(trainer.sample)
        except ScoreError:
            return None
        monitor.observe_score(kimg=trainer.kimg, score=found.value, spread=found.spread)
        return found.value

    score()
    due, values = list(RUNGS), []
    for tick in trainer:
        signals = asdict(tick)
        signals.pop("penalties", None)
        monitor.observe(**signals)
        if due and trainer.images_seen >= round(1000 * config.kimg * due[0]):
            due.pop(0)
            values.append(score())
        if monitor.verdict is not None or None in values:
            break
    verdict = monitor.verdict
    is_lost = verdict is None and None in values
    return {
        **asdict(job),
        "rule": "non_finite" if is_lost else verdict.rule if verdict else None,
        "at": trainer.kimg,
        "kimg": config.kimg,
        "values": values,
    }


def candidates(table: Table, runs: Runs) -> list[int]:
    """Configurations whose first seed gets a verdict: a recorded one would have; in ``wide`` it is
    trained, and a verdict about pace does not count."""
    if table is not WIDE:
        _, recorded = read_curves(table.path)
        return [run.configuration for run in recorded if run.seed == 0 and replay(run, "default")]
    numbers = range(table.configurations)
    results = runs.results([Job(table.name, number, "", SEEDS[0]) for number in numbers])
    return [one["configuration"] for one in results if one["rule"] not in (None, *_PACE)]


def healthy_runs(table: Table) -> list[Curves]:
    """The recorded runs of a sweep that neither failed nor get a verdict."""
    facts, runs = read_curves(table.path)
    return [
        run
        for run in runs
        if not failure(run, facts["blurred_score"]) and replay(run, "default") is None
    ]


@cache
def reference(name: str) -> float:
    """The median final score of the healthy runs of a table's sweep."""
    runs = healthy_runs(TABLES["digits" if name == WIDE.name else name])
    return statistics.median(run.scores[-1]["value"] or math.inf for run in runs)


class Runs:
    """The results in a folder; missing ones are trained."""

    def __init__(self, work: Path, data: str | None, processes: int) -> None:
        self.work, self._data, self._processes = work, data, processes
        work.mkdir(parents=True, exist_ok=True)

    @classmethod
    def given(cls, options: argparse.Namespace) -> Runs:
        """Those that the options of ``table_parser`` name."""
        work = options.work or Path("runs") / f"cures_{options.table}"
        return cls(work, options.data, options.processes)

    def results(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """The results of jobs, in their order."""
        files = {job: self.work / f"{job.name}.json" for job in jobs}
        write_missing(files, partial(run, data=self._data), self._processes)
        return [json.loads(files[job].read_text(encoding="utf-8")) for job in jobs]


Case = tuple[int, str]
"""A configuration that fails, and the rule of most of its verdicts."""


def failing(table: Table, runs: Runs) -> Iterator[Case]:
    """The configurations that fail, in their order."""
    numbers = candidates(table, runs)
    for start in range(0, len(numbers), 8):
        chunk = numbers[start : start + 8]
        jobs = [Job(table.name, number, "", seed) for number in chunk for seed in SEEDS]
        results = runs.results(jobs)
        for place, number in enumerate(chunk):
            rules = [
                result["rule"] for result in results[3 * place : 3 * place + 3] if result["rule"]
            ]
            if len(rules) >= 2:
                yield number, Counter(rules).most_common(1)[0][0]


def cases(table: Table, runs: Runs) -> tuple[list[Case], list[Case]]:
    """Those on which remedies are tried, and those to judge by."""
    learned, judged = LEARNED[table.name], JUDGED[table.name]
    if table is not WIDE:
        found = list(itertools.islice(failing(table, runs), learned + judged))
        return found[:learned:2], found[learned:]
    by_rule: dict[str, list[Case]] = defaultdict(list)
    for case in failing(table, runs):
        if case[1] not in _PACE:
            by_rule[case[1]].append(case)
    ours = [case for of in by_rule.values() for case in of[::2][:learned]]
    theirs = [case for of in by_rule.values() for case in of[1::2][:judged]]
    return sorted(ours), sorted(theirs)


def tried(
    table: Table, cases: Sequence[Case], names: Collection[str] = REMEDIES
) -> list[tuple[str, Job]]:
    """A job for each of these remedies that answers a config's verdict, with its rule."""
    jobs = []
    for number, rule in cases:
        config, _ = table.draw(number)
        for name in names:
            remedy = REMEDIES[name]
            if rule in remedy.answers and remedy.applied(config) is not None:
                jobs.append((rule, Job(table.name, number, name, FRESH)))
    return jobs


def record(table: Table, runs: Runs, names: Collection[str] = REMEDIES) -> Counts:
    """What these remedies did."""
    learned, _ = cases(table, runs)
    jobs = tried(table, learned, names)
    results = runs.results([job for _, job in jobs])
    found: Counts = defaultdict(dict)
    for (rule, job), result in zip(jobs, results, strict=True):
        entry = found[rule].setdefault(job.remedy, {"tried": 0, "saved": 0, "cured": 0})
        is_saved = result["rule"] is None
        entry["tried"] += 1
        entry["saved"] += is_saved
        entry["cured"] += is_saved and result["values"][-1] <= reference(table.name)
    return found


# ---- Judging -------------------------------------------------------------------------------------


def config_on(table: Table, number: int, data: str | None) -> TrialConfig:
    """A configuration of a table with the place of its images."""
    config, _ = table.draw(number)
    if data is None:
        return config
    source = config.data.model_copy(update={"source": absolute_source(data, Path())})
    return config.model_copy(update={"data": source})


def sections_of(table: Table) -> dict[str, Any]:
    """The sections of a table's space that its trainings share."""
    return {"objective": table.space().document.tree.get("objective", {})}


def stabilized(table: Table, number: int, data: str | None, folder: Path, processes: int) -> Tried:
    """What ``stabilize`` answers for a config: the best remedy that holds, else the first one that
    was tried, else the config as it is."""
    options = Options(out=folder, workers=processes, device="cpu")
    found = stabilize(config_on(table, number, data), options, sections=sections_of(table))
    return found.best or next(iter(found.tried), found.base)


def is_cured(
    table: Table, runs: Runs, number: int, remedy: str, changes: tuple[tuple[str, Any], ...] = ()
) -> bool:
    """Whether a changed config trains well on most of three fresh seeds."""
    jobs = [Job(table.name, number, remedy, FRESH + 1 + k, changes) for k in range(3)]
    results = runs.results(jobs)
    scores = [math.inf if one["rule"] else one["values"][-1] for one in results]
    alive = sum(one["rule"] is None for one in results)
    return alive >= 2 and statistics.median(scores) <= reference(table.name)


def judge_one(table: Table, runs: Runs, case: Case, answer: Tried) -> dict[str, Any]:
    """One config: whether the answer and the first proposal cure it."""
    number, rule = case
    config, _ = table.draw(number)
    proposed = proposals(rule, config)
    first = proposed[0].remedy.name if proposed else ""
    return {
        "rule": rule,
        "answer": answer.name if answer.holds else "",
        "lines": len(answer.changes) if answer.holds else 0,
        "cured": answer.holds and is_cured(table, runs, number, answer.name),
        "first": first,
        "first_cured": bool(first) and is_cured(table, runs, number, first),
    }


def healthy(table: Table, count: int) -> list[int]:
    """The first configurations whose recorded first seed neither failed nor gets a verdict."""
    runs = healthy_runs(table) if count else []
    return [run.configuration for run in runs if run.seed == 0][:count]


def is_called_healthy(table: Table, runs: Runs, number: int) -> bool:
    """Whether most of three fresh seeds of a config get no verdict; by its recorded one it was
    chosen."""
    results = runs.results([Job(table.name, number, "", FRESH + 1 + k) for k in range(3)])
    return 2 * sum(one["rule"] is None for one in results) > len(results)


def interval(hits: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def shares(found: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Each share of a table that was measured: what, how many, of how many."""
    judged, called = list(found["judged"].values()), list(found["healthy"].values())
    plain = list(found.get("plain", {}).values())
    every = [
        ("cured by at most three lines", sum(one["cured"] for one in judged), len(judged)),
        (
            "cured by one line",
            sum(one["cured"] and one["lines"] == 1 for one in judged),
            len(judged),
        ),
        ("cured by the first proposal", sum(one["first_cured"] for one in judged), len(judged)),
        ("cured by a plain search", sum(plain), len(plain)),
        ("healthy configs called healthy", sum(called), len(called)),
    ]
    return [share for share in every if share[2]]


def judge(table: Table, runs: Runs, given: argparse.Namespace, report: Report) -> None:
    """Judges configs until all are, or until the minutes are over, and writes each answer."""
    until = time.monotonic() + 60 * given.minutes
    tree = report.read()
    found = tree.setdefault(table.name, {"healthy": {}})
    limits = [LEARNED[table.name], JUDGED[table.name]]
    if found.get("limits") != limits:  # others were judged, or none
        _, to_judge = cases(table, runs)
        found |= {"limits": limits, "cases": to_judge, "judged": {}, "plain": {}}
        publish(report, tree)
    for number, rule in found["cases"]:
        if str(number) not in found["judged"] and time.monotonic() < until:
            folder = runs.work / f"stabilized-{number:04d}"
            answer = stabilized(table, number, given.data, folder, given.processes)
            found["judged"][str(number)] = judge_one(table, runs, (number, rule), answer)
            publish(report, tree)
    for number in healthy(table, HEALTHY[table.name]):
        if str(number) not in found["healthy"] and time.monotonic() < until:
            found["healthy"][str(number)] = is_called_healthy(table, runs, number)
            publish(report, tree)


def publish(report: Report, tree: dict[str, Any]) -> None:
    """Writes the results and their table."""
    rows = [
        (name, what, f"{hits} of {of}", "{:.0%} to {:.0%}".format(*interval(hits, of)))
        for name, found in tree.items()
        for what, hits, of in shares(found)
    ]
    text = table_text(["table", "share", ">measured", ">95% interval"], rows)
    machine = describe_machine(torch.device("cpu"), os.cpu_count() or 1)
    report.write(tree, "What cures failing configs", f"{machine}.\n\n{text}")


def main(arguments: Sequence[str] | None = None, folder: Path = RESULTS) -> None:
    """Trains what is missing, prints and writes the result."""
    given = _parser().parse_args(arguments)
    table = SOURCES[given.table]
    runs = Runs.given(given)
    if given.stage == "judge":
        report = Report("cures", torch.device("cpu"), folder)
        judge(table, runs, given, report)
        for what, hits, of in shares(report.read()[table.name]):
            print(f"{what}: {hits} of {of}")
        return
    if not LEARNED[table.name]:
        raise SystemExit(f"record: every failing config of {table.name} is one to judge by")
    found = record(table, runs, given.remedies or REMEDIES)
    for rule, remedies in found.items():
        print(f"{rule}:")
        order = sorted(remedies.items(), key=lambda item: -item[1]["cured"] / item[1]["tried"])
        for name, entry in order:
            print(f"  {name}: cured {entry['cured']}, saved {entry['saved']} of {entry['tried']}")
    path = folder / "cures_record.json"
    every = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known: Counts = every.get(table.name, {}) if given.remedies else {}
    every[table.name] = {
        rule: known.get(rule, {}) | found.get(rule, {}) for rule in {**known, **found}
    }
    write_text(path, json.dumps(every, indent=1, sort_keys=True) + "\n")
    write_text(RECORD, json.dumps(total(every.values()), indent=1, sort_keys=True) + "\n")


def total(tables: Iterable[Counts]) -> Counts:
    """The sums of counts."""
    found: Counts = {}
    for counts in tables:
        for rule, remedies in counts.items():
            for name, entry in remedies.items():
                old = found.setdefault(rule, {}).get(name, {})
                found[rule][name] = {key: n + old.get(key, 0) for key, n in entry.items()}
    return found


def table_parser(text: str, tables: Collection[str] = SOURCES) -> argparse.ArgumentParser:
    """Options of a benchmark on failing or good configs of one of these tables; ``text``: what it
    measures."""
    parser = argparse.ArgumentParser(description=text.partition("\n")[0])
    parser.add_argument("--table", choices=tables, default="digits")
    parser.add_argument("--data", help="folder or file of the images; digits needs none")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, help="default: runs/cures_TABLE")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after them")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = table_parser(__doc__ or "")
    parser.add_argument("stage", choices=["record", "judge"])
    parser.add_argument("--remedies", nargs="+", choices=REMEDIES, help="to record; default: all")
    return parser


if __name__ == "__main__":
    main()
