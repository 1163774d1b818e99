"""Files that belong to an image beside them: masks, labels, versions of few pixels."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from gantune.data.sources.file_kinds import SUFFIXES
from gantune.data.sources.folder_names import COMPANIONS, words_of

_MORE = frozenset(("seg", "segm", "trimap", "matte", "alpha", "parsing", "annotated"))
_MOST = 0.9  # of a set, from which on it is one of pairs
_LAST_WORD = re.compile(r"(?P<stem>.+)(?P<end>[_\-. ]+[^\W\d]\w*)")


def companion_files(files: Sequence[str]) -> list[str]:
    """Of the files in one folder, those that belong to another image there.

    ``x_mask.png`` beside ``x.png``, ``x_gtFine_color.png`` beside ``x_leftImg8bit.png``,
    ``mask_1.png`` beside ``image_1.jpg``, ``x_LR.png`` beside ``x_HR.png``.
    """
    found = []
    stems: dict[str, tuple[str, ...]] = {}
    text = "\n".join(files).lower()  # one search is quick, also in a million names
    for images, others in COMPANIONS:
        roles = others | _MORE if "mask" in others else others
        hints = [word for word in roles if word in text]
        candidates = [name for name in files if any(word in name.lower() for word in hints)]
        if not candidates:
            continue
        stems = stems or {
            name: tuple(words_of(name.rpartition(".")[0]))
            for name in files
            if name.lower().endswith(SUFFIXES)
        }
        bases = _bases(stems.values(), images)
        found += [
            name
            for name in candidates
            if name in stems
            and any(
                word in roles and (stems[name][:at] or stems[name][1:]) in bases
                for at, word in enumerate(stems[name])
            )
        ]
    return found


def _bases(stems: Iterable[tuple[str, ...]], images: Iterable[str]) -> set[tuple[str, ...]]:
    """What remains of the names of images: ``x`` of ``x``, ``x_image`` and ``image_x``."""
    bases = set(stems)
    for stem in list(bases):
        for at, word in enumerate(stem):
            if word in images or "".join(stem[at:]) in images:
                bases |= {stem[:at] or stem[1:]}
    return bases - {()}


def pairs_text(names: Sequence[str]) -> str:
    """A warning where nearly all images come in pairs by their names; empty elsewhere.

    ``a.jpg`` and ``a.png``, or ``a.png`` and ``a_L.png``, in one folder.
    """
    endings: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        stem, dot, ending = name.rpartition(".")
        endings[stem if dot else name].append(dot + ending if dot else "")
    partners = Counter[str]()
    example: dict[str, tuple[str, str]] = {}
    for stem, held in endings.items():
        if len(held) == 2:
            partners[held[1]] += 1
            example.setdefault(held[1], (stem + held[0], stem + held[1]))
        if stem[-1:].isdigit():  # most names: quick, as there may be millions
            continue
        folder, _, last = stem.rpartition("/")
        cut = _LAST_WORD.fullmatch(last)
        if cut and (other := f"{folder}/{cut['stem']}".lstrip("/")) in endings:
            partners[cut["end"]] += 1
            example.setdefault(cut["end"], (other + endings[other][0], stem + held[0]))
    ((end, count),) = partners.most_common(1) or [("", 0)]
    if 2 * count < _MOST * len(names) or count < 2:
        return ""
    first, second = example[end]
    return (
        f"warning: its images come in pairs, such as {first} and {second}: both are learned; if "
        "one is a mask or another version, put each kind into its own folder and name one"
    )
