"""Files that belong to an image beside them: masks, labels, versions of few pixels."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from gantune.data.sources.file_kinds import SUFFIXES
from gantune.data.sources.folder_names import COMPANIONS, words_of

_MORE = frozenset(("seg", "segm", "trimap", "matte", "alpha", "parsing", "annotated"))
_FIRST = frozenset(("mask", "masks", "label", "labels", "seg", "gt"))  # mask_1.png beside 1.jpg
_MANY = frozenset(("mask", "masks"))  # x_mask_1.png beside x.png
_KINDS = frozenset(
    (
        *("fine", "coarse", "color", "colour", "label", "labels", "id", "ids", "labelids"),
        *("instance", "instances", "train", "polygons", "semantic", "panoptic", "map"),
    )
)
"""Words of a kind of mask, such as x_gtFine_color.png."""
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
        named = _named_images(stems.values(), images)
        bare = set(stems.values())
        for name in candidates:
            held = stems.get(name, ())
            for at, word in enumerate(held):
                if word not in roles:
                    continue
                before, after = held[:at], held[at + 1 :]
                is_of_any = word in _FIRST or before
                base = before or after
                is_whole = not before or _is_detail(word, after)
                if is_whole and base and (base in named or (is_of_any and base in bare)):
                    found.append(name)
                    break
    return found


def _is_detail(word: str, after: Sequence[str]) -> bool:
    """Whether what follows a role's word is no other subject: ``mask_1``, ``gtFine_color``."""
    return all(each in _KINDS or (word in _MANY and each.isdigit()) for each in after)


def _named_images(stems: Iterable[tuple[str, ...]], images: Iterable[str]) -> set[tuple[str, ...]]:
    """What remains of names that say ``image``: ``x`` of ``x_image`` and ``image_x``."""
    return {
        stem[:at] or stem[1:]
        for stem in stems
        for at, word in enumerate(stem)
        if word in images or "".join(stem[at:]) in images
    }


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
