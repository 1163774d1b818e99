"""What a search would do: its first config and its cost, before anything is trained."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from gantune.config import dump_config
from gantune.io.formatting import about, count, number
from gantune.space import SearchSpace
from gantune.tuner.prepare import Cost, Search, estimate_cost

__all__ = ["print_plan"]


def print_plan(console: Console, search: Search) -> None:
    """Prints the first trial's whole config as YAML, then the estimate as comments.

    So what is printed is itself a config that can be trained. Trains for about two seconds to
    measure the speed, unless that is known; a trainer of the user's own is not called, and its cost
    not known.
    """
    console.print(Text(dump_config(search.config)), soft_wrap=True, end="")
    placement = search.placement
    cost = estimate_cost(search)
    workers = len(placement.devices)
    devices = ", ".join(dict.fromkeys(placement.devices))
    lines = [
        f"run folder: {search.folder.path}",
        f"workers: {workers} on {devices}, {placement.threads} threads each",
        *(f"measured, without scoring: {sentence}" for sentence in placement.measured),
    ]
    if search.ray is not None and search.ray.workers == "auto":
        lines[-1] = "workers: as many as the Ray cluster has room for; the cost is for one"
    if cost is None:
        lines.append("cost: not known, as the trainer is your own and was not run")
    else:
        lines.append(f"speed: about {number(cost.images_per_second)} images/s in all")
        lines.append(_cost(cost, search.space))
    for line in lines:
        console.print(Text(f"# {line}", "dim"), soft_wrap=True)


def _cost(cost: Cost, space: SearchSpace) -> str:
    trials, has_finals = space.budget.trials, space.finalists.top > 0
    if trials is None:
        after = ", and the finals after it" if has_finals else ""
        return f"cost: as long as the space's time says{after}"
    finals = " and the finals" if has_finals else ""
    return (
        f"cost: at most {number(float(cost.kimg))} kimg for {count(trials, 'trial')}{finals}, "
        f"{about(cost.seconds)} of training if nothing is stopped early"
    )
