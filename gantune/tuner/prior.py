"""Earlier searches to start from: reads their runs, and adds their best settings to a space."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gantune.config import ExternalConfig
from gantune.errors import GantuneError, Problem, SpaceError
from gantune.io.validation import comma_list
from gantune.run_folder.run import RunFolder, find_run
from gantune.space import SearchSpace, load_space
from gantune.space.prior import Fitted, Prior, fit
from gantune.trial.records import TrialRecord
from gantune.tuner.state import RunReader, RunState


def start_from_priors(
    space: SearchSpace, runs: Sequence[str], folder: RunFolder, notify: Callable[[str], None]
) -> SearchSpace:
    """The space with the best settings of its earlier searches after its own start entries.

    ``runs``: those of ``--prior``. A search that has begun keeps the settings that it began with,
    which are in its own ``space.yaml``, so the earlier runs are read once. ``notify`` gets one line
    for each run, or one that says so. Raises ``SpaceError`` for a run that cannot be used.
    """
    priors = [*space.priors, *map(Prior, runs)]
    if not priors:
        return space
    if folder.space.exists():
        begun = load_space(folder.space)
        points = [point for point in begun.points if point not in space.points]
        runs = comma_list(dict.fromkeys(prior.run for prior in priors))
        notify(
            f"start from {runs}: not read, as {folder.path} has begun, and keeps the start "
            "settings that it began with; name another --out to begin a search with it"
        )
        return space.started_from(points)
    known: list[Mapping[str, Any]] = list(space.points)
    for prior in priors:
        found, line = _settings(space, prior, known)
        known += found
        notify(line)
    return space.started_from(known[len(space.points) :])


def _settings(
    space: SearchSpace, prior: Prior, known: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], str]:
    """The best settings that fit the space and are not known, and the line about them."""
    try:
        run = find_run(prior.run)
        with RunReader(run) as reader:
            state, earlier = reader.state(), reader.space
        is_running = run.is_running
    except GantuneError as error:
        raise _problem(space, prior, str(error)) from None
    ranked = list(_ranked(state))
    if not ranked:
        raise _problem(space, prior, f"{run.path}: no trial of it has a score yet")
    fits: dict[int, Fitted] = {}
    left_out: dict[int, str] = {}
    for record in ranked:
        try:
            config = earlier.configs_of(record.params)
        except GantuneError:
            left_out[record.number] = "its values are not those of its space"
            continue
        tree = config.values if isinstance(config, ExternalConfig) else config.model_dump()
        fitted = fit(space.tree, record.params, tree, seed=record.number)
        if not fitted.used and not fitted.outside:
            raise _problem(space, prior, _nothing_common(space, earlier, run))
        if fitted.outside:
            left_out[record.number] = fitted.outside
        elif fitted.params not in [*known, *(fit.params for fit in fits.values())]:
            fits[record.number] = fitted
        if len(fits) == prior.top:
            break
    if not fits and left_out:
        reasons = "; ".join(f"trial {number}: {why}" for number, why in [*left_out.items()][:3])
        raise _problem(space, prior, f"{run.path}: none of its settings fits this space: {reasons}")
    line = f"start from {run.path}" + (
        " (it is running; what has ended counts): " if is_running else ": "
    )
    line += _described(fits, left_out, ranked[0].params, space)
    return [fitted.params for fitted in fits.values()], line


def _ranked(state: RunState) -> Iterator[TrialRecord]:
    """Trials by rank: finalists, then those scored in full, then those that came furthest."""
    seen: set[int] = set()
    scored = [r for r in state.trials if r.rungs and r.outcome and not r.outcome.is_failure]
    scored.sort(key=lambda r: (-r.last_percent, r.rungs[r.last_percent], r.number))
    finalists = [state.trials[finalist.origin] for finalist in state.ranking]
    for record in (*finalists, *state.survivors, *scored):
        if record.number not in seen:
            seen.add(record.number)
            yield record


def _described(
    fits: Mapping[int, Fitted],
    left_out: Mapping[int, str],
    params: Mapping[str, Any],
    space: SearchSpace,
) -> str:
    if not fits:
        return "its best settings are start entries already"
    used = list(dict.fromkeys(name for fitted in fits.values() for name in fitted.used))
    added = list(dict.fromkeys(name for fitted in fits.values() for name in fitted.added))
    unused = [name for name in params if name not in space.parameters()]
    parts = [f"settings of trials {comma_list(map(str, fits))}", f"used: {comma_list(used)}"]
    if added:
        parts.append(f"not in it, by default or drawn: {comma_list(added)}")
    if unused:
        parts.append(f"not searched here: {comma_list(unused)}")
    parts += [f"left out: trial {number}, {why}" for number, why in left_out.items()]
    return "; ".join(parts)


def _nothing_common(space: SearchSpace, earlier: SearchSpace, run: RunFolder) -> str:
    return (
        f"{run.path}: has nothing in common with this space: it searched "
        f"{comma_list(earlier.parameters())}, and here {comma_list(space.parameters())} are open"
    )


def _problem(space: SearchSpace, prior: Prior, message: str) -> SpaceError:
    if prior.place:
        return SpaceError([space.document.problem((*prior.place, "from"), message)])
    return SpaceError([Problem(message, f"--prior {prior.run}")])
