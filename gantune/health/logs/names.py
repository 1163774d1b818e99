"""What a column's name means: words that people use for players, losses, scores and places."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Part = Literal["", "real", "fake"]

WEAK = 50
"""Added to the rank of a name that says little, such as ``D`` alone."""

_D = {"d", "dis", "disc", "discrim", "discriminator", "critic"}
_G = {"g", "gen", "generator"}
_LOSS = {"loss", "losses", "err", "error", "errs", "cost", "l"}
_ADVERSARIAL = {"gan", "adv", "adversarial", "u", "unsup", "unsupervised"}
_NOISE = {
    *("train", "training", "trainer", "scalar", "scalars", "total", "tot", "sum", "mean", "avg"),
    *("average", "step", "epoch", "batch", "iter", "net", "model", "raw", "results", "metrics"),
}
_NOT_TRAINING = {"val", "valid", "validation", "test", "eval", "best", "min", "max", "std", "lr"}
_GLUED = {
    **{f"{loss}{player}": (loss, player) for loss in ("loss", "err", "net") for player in "dg"},
    **{f"{player}loss": (player, "loss") for player in "dg"},
}
_PLACES = {
    "kimg": [{"kimg"}, {"progress", "kimg"}],
    "step": [
        *(
            {"step"},
            {"steps"},
            {"global", "step"},
            {"trainer", "global", "step"},
            {"total", "step"},
        ),
        *({"total", "steps"}, {"train", "step"}, {"training", "step"}, {"iteration"}),
        *({"iterations"}, {"iter"}, {"iters"}, {"itr"}, {"its"}, {"n", "iter"}, {"niter"}),
        *({"total", "iter"}, {"total", "iters"}, {"batches", "done"}, {"batch"}, {"batches"}),
        *({"batch", "idx"}, {"batch", "i"}, {"batch", "index"}, {"minibatch"}, {"i"}, {"it"}),
    ],
    "epoch": [{"epoch"}, {"epochs"}, {"ep"}, {"train", "epoch"}, {"epoch", "i"}],
}


class Meaning(NamedTuple):
    """What a name stands for."""

    signal: str
    """``d_loss``, ``g_loss``, ``fid``, ``kimg``, ``step`` or ``epoch``."""
    part: Part = ""
    """Of D's loss: the one on real or on generated images, where they are logged apart."""
    group: str = ""
    """The player's own name, such as ``A``, where there are several discriminators."""
    rank: int = 0
    """Of several names for one signal that with the lowest rank counts."""


def run_of(name: str) -> str:
    """The run that a name begins with in an export of W&B: ``red-7 - d_loss``."""
    return name.rpartition(" - ")[0]


def words(name: str) -> list[str]:
    """The words of a name in lower case: ``errD_fake`` gives ``err``, ``d``, ``fake``."""
    name = name.rpartition(" - ")[2] or name  # W&B: the run's name comes first
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    found: list[str] = []
    for word in re.findall(r"[a-z0-9]+", name.lower()):
        digit = re.fullmatch(r"(d|g|loss|dloss|gloss)(\d)", word)  # d1, d_loss2
        found += _GLUED.get(digit[1], (digit[1],)) if digit else _GLUED.get(word, (word,))
        found += digit[2] if digit else ()
    return found


def meaning(name: str) -> Meaning | None:
    """What a column's name means, or ``None`` where nobody can tell."""
    if "__" in name and re.search(r"__(MIN|MAX)$", name):  # W&B: of the points in one bin
        return None
    name = re.sub(r"\s+\([^()]*\)$", "", name)  # D loss (avg)
    found = words(name)
    there = set(found)
    for place, known in _PLACES.items():
        if there in known:
            return Meaning(place, rank=known.index(there))
    if not there or there & (_NOT_TRAINING - {"val", "test", "eval"}):
        return None
    is_fid = any(re.fullmatch(r"fid\d*k?", word) for word in there)
    if is_fid or {"frechet", "inception", "distance"} <= there:
        return Meaning("fid", rank=len(found))
    # D(x) and D(G(z)) are outputs.
    return None if there & _NOT_TRAINING or "(" in name else _loss(found)


def _loss(found: list[str]) -> Meaning | None:
    there = set(found)
    rank = len(found) + 10 * ("epoch" in there)
    if found[-2:] == ["fake", "g"]:
        return Meaning("g_loss", rank=rank)  # G's loss on D's answers
    is_d, is_g, is_loss = bool(there & _D), bool(there & _G), bool(there & _LOSS)
    rest = there - _D - _G - _LOSS - _NOISE
    if is_d and is_g:
        return None
    if is_g and (not rest or rest <= _ADVERSARIAL):
        is_bare = not (is_loss or rest)
        return Meaning("g_loss", rank=rank - 5 * bool(rest) + WEAK * is_bare)
    if is_d and (not rest or rest <= _ADVERSARIAL):
        return Meaning("d_loss", rank=rank + WEAK * (not is_loss))
    side = rest - _ADVERSARIAL
    if is_loss and rest and not (is_d or is_g or side):  # what D adds to the loss of G
        return Meaning("g_loss", rank=rank + WEAK)
    if is_d and side == {"real", "fake"}:  # D_real+fake
        return Meaning("d_loss", rank=rank + WEAK * (not is_loss))
    if len(side) == 1 and not is_g and (is_d or is_loss):
        if side == {"real"}:
            return Meaning("d_loss", "real", rank=rank + WEAK * (not is_d))
        if side & {"fake", "generated"}:
            return Meaning("d_loss", "fake", rank=rank + WEAK * (not is_d))
    (group,) = side if len(side) == 1 else ("",)
    if re.fullmatch(r"[ab12]", group) and (is_d or is_g):
        return Meaning("d_loss" if is_d else "g_loss", group=group.upper(), rank=rank)
    return None
