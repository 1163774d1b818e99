"""Files that belong to an image beside them: masks, labels, versions of few pixels."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from gantune.data.sources.file_kinds import SUFFIXES
from gantune.data.sources.folder_names import COMPANIONS, words_of
from gantune.io.formatting import count as counted

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
_FEWEST, _LEAST = 2, 0.5  # images, and share of them, that must have a partner
_LAST_WORD = re.compile(r"(?P<stem>.+)(?P<end>[_\-. ]+[^\W\d]\w*)")


def find_companions(
    names: Sequence[str], unread: Sequence[str] = ()
) -> tuple[set[str], dict[str, str]]:
    """The images that belong to another one in their folder, and those that may, with its name.

    Two images or more must have a partner by the same word, and half of those in the folder or of
    all: one ``ford_gt.jpg`` beside ``ford.jpg`` is a car. ``unread``: images of formats that are
    not read, which may have partners too.
    """
    folders: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for kind, files in enumerate((names, unread)):
        for name in files:
            folder, slash, file = name.rpartition("/")
            folders[folder + slash][kind].append(file)
    found = {folder: _companion_files(*held) for folder, held in folders.items()}
    alone = {folder: sum(map(len, held)) - len(found[folder]) for folder, held in folders.items()}
    partners = {folder: _words_of_owners(each) for folder, each in found.items()}
    total, of_all = sum(alone.values()), Counter[str]()
    for words in partners.values():
        of_all.update(words)
    companions, doubtful = set[str](), dict[str, str]()
    for folder, each in found.items():
        for file, (word, owner) in each.items():
            in_folder = _is_rule(partners[folder][word], alone[folder])
            if in_folder or _is_rule(of_all[word], total):
                companions.add(folder + file)
            else:
                doubtful[folder + file] = folder + owner
    return companions, doubtful


def _words_of_owners(found: Mapping[str, tuple[str, str]]) -> Counter[str]:
    """Number of images that have a partner, by the word in its name."""
    return Counter(word for word, _ in set(found.values()))


def _is_rule(pairs: int, images: int) -> bool:
    return pairs >= _FEWEST and pairs >= _LEAST * images


def doubts_text(doubtful: Mapping[str, str]) -> str:
    """A warning about images that may belong to others; empty if none does."""
    if not doubtful:
        return ""
    name, owner = next(iter(doubtful.items()))
    return (
        f"warning: {counted(len(doubtful), 'image')} learned though called like masks or versions "
        f"of others, such as {name} beside {owner}: if that is what they are, move them elsewhere"
    )


def _companion_files(files: Sequence[str], unread: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Of the files in one folder, those whose names say that they belong to another image there:
    by which word, and to which image.

    ``x_mask.png`` beside ``x.png``, ``x_gtFine_color.png`` beside ``x_leftImg8bit.png``,
    ``mask_1.png`` beside ``image_1.jpg``, ``x_LR.png`` beside ``x_HR.png``.
    """
    found: dict[str, tuple[str, str]] = {}
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
            for name in (*unread, *(each for each in files if each.lower().endswith(SUFFIXES)))
        }
        named = _named_images(stems, images)
        bare = {stem: name for name, stem in stems.items()}
        for name in candidates:
            held = stems.get(name, ())
            for at, word in enumerate(held):
                if word not in roles:
                    continue
                before, after = held[:at], held[at + 1 :]
                base = before or after
                is_whole = not before or _is_detail(word, after)
                owner = named.get(base) or (bare.get(base) if word in _FIRST or before else None)
                if is_whole and base and owner is not None:
                    found[name] = word, owner
                    break
    return found


def _is_detail(word: str, after: Sequence[str]) -> bool:
    """Whether what follows a role's word is no other subject: ``mask_1``, ``gtFine_color``."""
    return all(each in _KINDS or (word in _MANY and each.isdigit()) for each in after)


def _named_images(
    stems: Mapping[str, tuple[str, ...]], images: Collection[str]
) -> dict[tuple[str, ...], str]:
    """Files whose names say ``image``, by what remains: ``x`` of ``x_image`` and ``image_x``."""
    return {
        stem[:at] or stem[1:]: name
        for name, stem in stems.items()
        for at, word in enumerate(stem)
        if word in images or "".join(stem[at:]) in images
    }


def pairs_text(names: Sequence[str], first_step: str = "") -> str:
    """A warning where nearly all images come in pairs by their names; empty elsewhere.

    ``a.jpg`` and ``a.png``, or ``a.png`` and ``a_L.png``, in one folder. ``first_step``: what to do
    before folders can be made.
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
        f"one is a mask or another version, {first_step}put each kind into its own folder and name "
        "one"
    )
