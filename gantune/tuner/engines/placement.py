"""Where the workers run, once it is measured how many of them a GPU is worth."""

from __future__ import annotations

from dataclasses import replace

from gantune.config import TrialConfig, make_config
from gantune.errors import ConfigError, TrainingError
from gantune.events import Observer
from gantune.scores.evaluator import Protocols
from gantune.space import SearchSpace
from gantune.trial.devices import Placement, distribute
from gantune.tuner.engines.probe import Measured, Probe, best_count, describe, measure
from gantune.tuner.prepare import Search


def place(search: Search, protocols: Protocols | None, observer: Observer) -> Placement:
    """The placement that the search was prepared with; where that leaves open how many workers a
    GPU takes, measured for one GPU of each kind.

    ``protocols``: how it scores, which takes memory as well; ``None`` where that is not known yet.
    Of a trainer of the user's own nothing is known: one worker a GPU.
    """
    placement, config = search.placement, search.config
    gpus = placement.devices
    most = placement.open_to // len(gpus)
    if most < 2 or not isinstance(config, TrialConfig):
        return placement
    observer.progress("measuring how many workers a GPU is worth", 0, 0)
    kinds: dict[object, list[str]] = {}
    for gpu in gpus:
        kinds.setdefault(_kind(gpu), []).append(gpu)
    counts: dict[str, int] = {}
    sentences, speed = [], 0.0
    for alike in kinds.values():
        count, sentence, one = _measured(_probe(search, config, alike[0], protocols), most)
        sentences.append(sentence)
        counts |= dict.fromkeys(alike, count)
        speed += one * len(alike)
    observer.progress("measuring how many workers a GPU is worth", 1, 0)
    placed = distribute({gpu: counts[gpu] for gpu in gpus})
    return replace(placed, measured=tuple(sentences), images_per_second=speed or None)


def _measured(probe: Probe, most: int) -> tuple[int, str, float]:
    """How many workers one GPU takes, why, and the images a second that they train."""
    try:
        measured, memory = measure(probe, most)
    except TrainingError as error:
        return 1, f"1 worker a GPU: a training to measure its speed failed ({error})", 0.0
    sentence = describe(measured)
    if measured[-1].workers == memory.most < most:
        sentence += f"; memory holds no more ({memory.one:.1f} of {memory.free:.1f} GiB each)"
    return best_count(measured), sentence, _speed(measured)


def _speed(measured: list[Measured]) -> float:
    count = best_count(measured)
    return next(m.images_per_second for m in measured if m.workers == count)


def _probe(search: Search, config: TrialConfig, device: str, protocols: Protocols | None) -> Probe:
    return Probe(
        config=config,
        largest=largest_config(search.space, config),
        data=config.data,
        device=device,
        threads=1,
        extractor=None if protocols is None else search.folder.extractor.resolve(),
        protocols=protocols,
    )


def largest_config(space: SearchSpace, config: TrialConfig) -> TrialConfig | None:
    """The config with the space's largest batch and width, which decide most of the memory.

    ``None`` where that is the config itself, or no config at all. Larger networks by another name,
    more augmentation or heavier penalties are not looked for.
    """
    network = config.network.model_copy(update={"width": int(space.largest("network.width"))})
    changes = {"batch_size": int(space.largest("batch_size")), "network": network}
    try:
        largest = make_config(config.model_copy(update=changes).model_dump())
    except ConfigError:
        return None
    return None if largest == config else largest


def _kind(device: str) -> object:
    """What two GPUs have in common for which one measurement is enough."""
    import torch

    found = torch.cuda.get_device_properties(device)
    return found.name, found.total_memory
