"""Finds the signals among the columns of a log: by name, by meaning, or as the user says."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from shlex import quote

from gantune.errors import LogError
from gantune.health.history import SIGNALS
from gantune.health.logs.names import WEAK, meaning, run_of
from gantune.io.formatting import and_list
from gantune.io.validation import comma_list, name_hint

PLACES = ("kimg", "step", "epoch")
"""The place of a record. Of several the first is used."""

SCORES = ("fid", "score")
"""Distances from real images: the Inception network's, and any other."""

JUDGED = ("d_loss", "g_loss", "fid", "score", "d_grad", "g_grad")
"""A log without any of these cannot be judged."""

_KNOWN = tuple(dict.fromkeys((*PLACES, *SIGNALS, *SCORES)))
_MOST_NAMES = 1000  # sets of names that are remembered
_INDEX = {"", "unnamed:_0", "index"}  # names of a column that counts the rows of a table

# Lower case, with `_` for spaces and hyphens, for signals whose names have no words in common.
_ALIASES = {
    "d_real": ("loss/scores/real", "real_score", "d_logits_real", "d(x)", "d_x"),
    "d_fake": ("loss/scores/fake", "fake_score", "d_logits_fake", "d(g(z))", "d_g_z1"),
    "d_grad": ("d_grad_norm", "grad_norm_d", "grad_norm/d", "discriminator_grad_norm"),
    "g_grad": ("g_grad_norm", "grad_norm_g", "grad_norm/g", "generator_grad_norm"),
}

Places = dict[str, tuple[int, ...]]
"""The indices of the columns that make up each signal; those of more than one are added up."""


@dataclass
class Found:
    """The signals among some names."""

    signals: Places = field(default_factory=dict)
    """Those of the whole log, its places included."""
    groups: dict[str, Places] = field(default_factory=dict)
    """The losses of each pair of players, by its name, where there are several such as ``A`` and
    ``B``, or of each run in an export of W&B."""

    @property
    def names(self) -> set[str]:
        """All signals that were found."""
        return set(self.signals).union(*self.groups.values())


class Columns:
    """Maps the names in a log to signals.

    ``named``: columns that the user gave for signals; an empty one skips the signal. A user who
    names one place wants no other. ``optional``: signals among them that the log may lack. Raises
    ``LogError`` for an unknown signal.
    """

    def __init__(
        self, named: Mapping[str, str] | None = None, *, optional: Iterable[str] = ()
    ) -> None:
        self.named = dict(named or {})
        self._optional = set(optional)
        for signal in self.named:
            if signal not in _KNOWN:
                raise LogError(f"--columns: no signal {signal!r}{name_hint(signal, _KNOWN)}")
        places = [place for place in PLACES if self.named.get(place)]
        self._skipped = {place for place in PLACES if places and place not in places}
        self._known: dict[tuple[str, ...], Found] = {}

    def find(self, names: Sequence[str]) -> Found:
        """The signals that ``names`` contain; remembered, as most lines of a log have the same."""
        key = tuple(names)
        if key not in self._known:
            if len(self._known) > _MOST_NAMES:  # names that change with every line
                self._known.clear()
            self._known[key] = self._find(key)
        return self._known[key]

    def _find(self, names: Sequence[str]) -> Found:
        exact: dict[str, int] = {}
        folded: dict[str, int] = {}
        for position, name in enumerate(names):  # of two equal names the first counts
            exact.setdefault(name, position)
            folded.setdefault(_fold(name), position)
        found = Found()
        for signal in _KNOWN:
            if signal in self._skipped:
                continue
            index = None
            if signal in self.named:
                wanted = self.named[signal].strip()
                index = exact.get(wanted, folded.get(_fold(wanted))) if wanted else None
                if wanted and index is None:
                    index = _ending_in(wanted, folded)
            else:
                known = (signal, *_ALIASES.get(signal, ()))
                index = next((folded[name] for name in known if name in folded), None)
            if index is not None:
                found.signals[signal] = (index,)
        self._add_by_meaning(names, found)
        self._add_index(folded, found)
        return found

    def _add_by_meaning(self, names: Sequence[str], found: Found) -> None:
        taken = {index for signal in self.named for index in found.signals.get(signal, ())}
        whole: dict[str, list[tuple[int, int]]] = {}
        parts: dict[str, tuple[int, int]] = {}
        groups: dict[str, dict[str, tuple[int, int]]] = {}
        runs = {run_of(name) for name in names if meaning(name)} - {""}
        for index, name in enumerate(names):
            what = None if index in taken else meaning(name)
            if what is None or what.signal in self.named or what.signal in self._skipped:
                continue
            entry = (what.rank, index)
            group = what.group
            if len(runs) > 1 and what.signal not in PLACES:
                group = run_of(name)
            if group:
                pair = groups.setdefault(group, {})
                pair[what.signal] = min(pair.get(what.signal, entry), entry)
            elif what.part:
                parts[what.part] = min(parts.get(what.part, entry), entry)
            else:
                whole.setdefault(what.signal, []).append(entry)
        if groups.keys() == {"1", "2"} and all(
            pair.keys() == {"d_loss"} for pair in groups.values()
        ):
            parts = {"real": groups["1"]["d_loss"], "fake": groups["2"]["d_loss"]} | parts
            groups = {}  # one discriminator on real and on generated images
        for signal, entries in whole.items():
            rank, index = min(entries)
            is_better = signal == "d_loss" and len(parts) == 2 and rank >= WEAK
            if not is_better:
                found.signals.setdefault(signal, (index,))
        if len(parts) == 2 and "d_loss" not in found.signals and "d_loss" not in self.named:
            found.signals["d_loss"] = parts["real"][1], parts["fake"][1]
            for output in ("d_real", "d_fake"):  # losses, not outputs, where D has no other loss
                if set(found.signals.get(output, ())) <= set(found.signals["d_loss"]):
                    found.signals.pop(output, None)
        if "d_loss" not in found.signals and "d_loss" not in self.named:
            found.groups = {
                name: {signal: (index,) for signal, (_, index) in pair.items()}
                for name, pair in sorted(groups.items())
                if "d_loss" in pair or len(runs) > 1
            }

    def _add_index(self, folded: Mapping[str, int], found: Found) -> None:
        """A column without a name counts the rows, where nothing else says the place."""
        index = next((folded[name] for name in _INDEX if name in folded), None)
        if index is not None and not self._skipped and not set(PLACES) & set(found.signals):
            found.signals["step"] = (index,)

    def suffice(self, there: Set[str]) -> bool:
        """Whether these signals have one to judge, and all that the user named."""
        wanted = {signal for signal, column in self.named.items() if column.strip()}
        wanted -= self._optional
        return bool(there & set(JUDGED)) and there >= wanted

    def explain_missing(self, names: Sequence[str]) -> str:
        """The message for ``names`` that do not suffice: what is missing, and similar names."""
        there = self.find(names).names
        missing: list[str] = []
        near: dict[str, str] = {}
        for signal, column in self.named.items():
            if column.strip() and signal not in there:
                missing.append(f"no column {column!r} for {signal}")
                near |= _similar(signal, column, names)
        if not there & set(JUDGED):
            missing.append(f"none of {comma_list(JUDGED)}")
            for signal in JUDGED:
                for name in _similar(signal, signal, names):
                    near.setdefault(name, signal)
        remedy = quote(",".join(f"{signal}={name}" for name, signal in near.items()))
        intro = "did you mean" if near else "name them with"
        remedy = f"{remedy}?" if near else "d_loss=NAME,g_loss=NAME,step=NAME"
        return (
            f"{and_list(missing)}; columns found: {_shortened(names)}; {intro} --columns {remedy}"
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


def _ending_in(name: str, folded: Mapping[str, int]) -> int | None:
    """The index of the only column inside another one that has this name: ``results/fid``."""
    ending = f"/{_fold(name)}"
    found = [index for column, index in folded.items() if column.endswith(ending)]
    return found[0] if len(found) == 1 else None


def _similar(signal: str, word: str, names: Sequence[str]) -> dict[str, str]:
    """The column whose name is nearest to a word, with the signal."""
    folded = {_fold(name): name for name in names}
    close = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=0.6)
    return {folded[name]: signal for name in close}


def _shortened(names: Sequence[str], most: int = 20) -> str:
    shown = [name if len(name) <= 40 else name[:37] + "..." for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(map(repr, shown)) or 'none'}{more}"
