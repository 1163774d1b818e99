"""Finds the signals among the columns of a log: by name, by alias, or as the user says."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from gantune.errors import LogError
from gantune.health.history import SIGNALS
from gantune.io.validation import comma_list, name_hint

PLACES = ("kimg", "step")
"""The place of a record. Of two the first is used."""

SCORES = ("fid", "score")
"""Distances from real images: the Inception network's, and any other."""

JUDGED = ("d_loss", "g_loss", "fid", "score", "d_grad", "g_grad")
"""A log without any of these cannot be judged."""

_KNOWN = tuple(dict.fromkeys((*PLACES, *SIGNALS, *SCORES)))

# Lower case, with `_` for spaces and hyphens. The name of the signal itself comes first.
_ALIASES = {
    "kimg": ("progress/kimg",),
    "step": (
        *("steps", "global_step", "trainer/global_step", "_step", "iteration", "iterations"),
        *("iter", "iters", "itr", "n_iter"),
    ),
    "d_loss": (
        *("loss_d", "d/loss", "loss/d", "loss/d/loss", "d_loss_total", "errd", "err_d", "lossd"),
        *("dloss", "dis_loss", "disc_loss", "discriminator_loss", "loss_discriminator"),
        *("critic_loss", "loss/discriminator", "discriminator/loss", "train/d_loss"),
    ),
    "g_loss": (
        *("loss_g", "g/loss", "loss/g", "loss/g/loss", "g_loss_total", "errg", "err_g", "lossg"),
        *("gloss", "gen_loss", "generator_loss", "loss_generator"),
        *("loss/generator", "generator/loss", "train/g_loss"),
    ),
    "d_real": ("loss/scores/real", "d_x", "d(x)", "real_score", "d_logits_real"),
    "d_fake": ("loss/scores/fake", "fake_score", "d_logits_fake"),
    "d_grad": ("d_grad_norm", "grad_norm_d", "grad_norm/d", "discriminator_grad_norm"),
    "g_grad": ("g_grad_norm", "grad_norm_g", "grad_norm/g", "generator_grad_norm"),
    "fid": ("fid50k", "fid50k_full", "fid_score", "metrics/fid", "metrics/fid50k_full", "val/fid"),
}


class Columns:
    """Maps the names in a log to signals.

    ``named``: columns that the user gave for signals; an empty one skips the signal. A user who
    names one place wants no other. Raises ``LogError`` for an unknown signal.
    """

    def __init__(self, named: Mapping[str, str] | None = None) -> None:
        self.named = dict(named or {})
        for signal in self.named:
            if signal not in _KNOWN:
                raise LogError(f"--columns: no signal {signal!r}{name_hint(signal, _KNOWN)}")
        places = [place for place in PLACES if self.named.get(place)]
        self._skipped = {place for place in PLACES if places and place not in places}

    def find(self, names: Sequence[str]) -> dict[str, int]:
        """The index in ``names`` of each signal that it contains."""
        exact: dict[str, int] = {}
        folded: dict[str, int] = {}
        for position, name in enumerate(names):  # of two equal names the first counts
            exact.setdefault(name, position)
            folded.setdefault(_fold(name), position)
        found: dict[str, int] = {}
        for signal in _KNOWN:
            if signal in self._skipped:
                continue
            if signal in self.named:
                wanted = self.named[signal].strip()
                index = exact.get(wanted, folded.get(_fold(wanted))) if wanted else None
            else:
                known = (signal, *_ALIASES.get(signal, ()))
                index = next((folded[name] for name in known if name in folded), None)
            if index is not None:
                found[signal] = index
        return found

    def suffice(self, found: Iterable[str]) -> bool:
        """Whether these signals include a place, one to judge, and all that the user named."""
        there = set(found)
        wanted = {signal for signal, column in self.named.items() if column.strip()}
        return bool(there & set(PLACES) and there & set(JUDGED)) and wanted <= there

    def explain_missing(self, names: Sequence[str]) -> str:
        """The message for ``names`` that do not suffice: what is missing, and similar names."""
        there = self.find(names)
        missing, near = [], []
        for signal, column in self.named.items():
            if column.strip() and signal not in there:
                missing.append(f"no column {column!r} for {signal}")
                near += _similar(signal, column, names)
        if not there.keys() & set(PLACES):
            missing.append("no column for the place (step or kimg)")
            near += _similar("step", "step", names) or _similar("kimg", "kimg", names)
        if not there.keys() & set(JUDGED):
            missing.append(f"none of {comma_list(JUDGED)}")
            near += [text for signal in JUDGED for text in _similar(signal, signal, names)]
        remedy = ",".join(dict.fromkeys(near)) or "d_loss=NAME,g_loss=NAME,step=NAME"
        intro = "did you mean" if near else "name them with"
        return (
            f"{' and '.join(missing)}; columns found: {_shortened(names)}; "
            f"{intro} --columns {remedy}{'?' * bool(near)}"
        )


def read_columns(texts: Iterable[str]) -> Columns:
    """Parses the values of ``--columns``, such as ``d_loss=Loss/D,g_loss=Loss/G``.

    Raises ``LogError`` for text without ``=`` and for an unknown signal.
    """
    named = {}
    for text in texts:
        # The name of a column may contain commas: only one before SIGNAL= separates two columns.
        for part in re.split(r",(?=\s*\w+=)", text):
            signal, equals, column = part.partition("=")
            if not equals:
                raise LogError(f"--columns {text}: write SIGNAL=COLUMN, such as d_loss=Loss/D")
            named[signal.strip()] = column
    return Columns(named)


def _fold(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _similar(signal: str, word: str, names: Sequence[str]) -> list[str]:
    folded = {_fold(name): name for name in names}
    close = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=0.6)
    return [f"{signal}={folded[name]}" for name in close]


def _shortened(names: Sequence[str], most: int = 20) -> str:
    shown = [name if len(name) <= 40 else name[:37] + "..." for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(map(repr, shown)) or 'none'}{more}"
