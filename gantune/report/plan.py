"""What a search would do: its first config and its cost, before anything is trained."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from gantune.config import dump_config
from gantune.report.words import about, number
from gantune.search.cost import estimate_cost
from gantune.search.prepare import Search

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
    trials = search.space.budget.trials
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
    if cost is not None and trials is None:
        lines.append("cost: as long as the space's time says, and the finals after it")
    elif cost is not None:
        lines.append(
            f"cost: at most {number(float(cost.kimg))} kimg for {trials} trials and the "
            f"finals, {about(cost.seconds)} of training if nothing is stopped early"
        )
    for line in lines:
        console.print(Text(f"# {line}", "dim"), soft_wrap=True)
