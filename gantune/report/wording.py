"""Names of runs and parameters in reports, and what a stopped search has left."""

from collections.abc import Iterable, Mapping

from gantune.io.formatting import count
from gantune.trial.records import TrialRecord
from gantune.tuner.state import RunState

_LEFT_OUT = {"penalties", "network"}
_SHORT = {
    "generator": "G",
    "discriminator": "D",
    "batch_size": "batch",
    "weight_clip": "clip",
    "gradient_penalty": "gp",
}


def title(record: TrialRecord) -> str:
    """The name of a run of training: ``trial 7``; for a finalist's ``trial 7, seed 3``."""
    if record.origin is None:
        return f"trial {record.number}"
    return f"trial {record.origin}, seed {record.seed}"


def short_names(names: Iterable[str]) -> Mapping[str, str]:
    """Unique short titles of parameters: ``generator.lr`` becomes ``G lr``."""
    names = list(names)
    short = {name: "/".join(map(_shorten_path, name.split("/"))) for name in names}
    taken = list(short.values())
    return {name: name if taken.count(word) > 1 else word for name, word in short.items()}


def _shorten_path(path: str) -> str:
    *places, last = path.split(".")
    words = [word for word in places if word not in _LEFT_OUT] + [last]
    return " ".join(_SHORT.get(word, word).replace("_", " ") for word in words)


def left_over(state: RunState) -> str:
    """What a search that was stopped has left to do: ``2 trials unfinished and 6 paused``."""
    interrupted = sum(record.origin is None for record in state.running)
    left = [f"{count(interrupted, 'trial')} unfinished"] if interrupted else []
    if state.paused:
        paused = len(state.paused)
        left.append(f"{paused} paused" if left else f"{count(paused, 'trial')} paused")
        left[-1] += " at a rung, of which the best go on"
    return " and ".join(left) or "finals left to train"
