"""What names of folders say: parts of a set, masks and thumbnails, folders that only divide."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

PARTS = {
    **{"train": "train", "training": "train", "trainset": "train", "trainval": "train"},
    **{"test": "test", "testing": "test", "testset": "test", "evaluation": "test"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val", "eval": "val"},
    **{"valset": "val", "holdout": "test"},
    **{"unlabeled": "unlabeled", "unlabelled": "unlabeled", "extra": "extra"},
}
"""Words for parts of a set, in lower case, with the part that each means."""
_SHORT = {
    **{"tr": "train", "trn": "train", "background": "train"},
    **{"ts": "test", "te": "test", "tst": "test"},
}
"""Words that mean a part only in names that agree but for them: imagesTr and imagesTs."""
_BASES = ("train", "val", "test")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[0-9]+")  # in DIV2K_trainHR: DIV, 2, K, ...
_NEUTRAL = frozenset(("set", "data", "dataset", "folder", "dir", "split"))

_IMAGES = frozenset(("images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "rgb"))
_MASKS = frozenset(
    (
        *("masks", "mask", "labels", "label", "annotations", "annotation", "anns", "anno", "gt"),
        *("ground_truth", "groundtruth", "segmentation", "segmentations", "trimaps"),
        *("segmentationclass", "segmentationobject", "gtfine", "gtcoarse", "depth", "disparity"),
    )
)
_DETAILED = (frozenset(("hr", "hq")), frozenset(("lr", "lq")))
COMPANIONS = ((_IMAGES, _MASKS), _DETAILED)
"""Words of images, and words of what belongs to each of them and is no image of its own."""
_COPIES = frozenset(("resized", "augmented", "cropped", "grayscale", "downscaled", "upscaled"))
_VERSIONS = frozenset(("bicubic", "unknown", "x"))  # in LR_bicubic_X4 beside HR
_THUMBNAILS = re.compile(r"thumbs|thumbnails?[_\-. ]*([0-9]+(x[0-9]+)?)?", re.IGNORECASE)
_SYSTEM = frozenset(
    (
        *("__macosx", "@eadir", "$recycle.bin", "#recycle", "lost+found", "__pycache__"),
        *("node_modules", "site-packages", "wandb", "mlruns", "lightning_logs"),
    )
)
_RUN = (frozenset(("run.json", "space.yaml")), frozenset(("config.yaml", "ticks.jsonl")))
_RUN_PICTURES = re.compile(
    r"trials|finalists|artifacts|extractor|checkpoints|best|last|real\.png|neighbours\.png"
    r"|samples-.*\.png"
)


def reason_of_name(name: str) -> str:
    """Why nothing of this name is looked at; empty for most names."""
    if name.lower() in _SYSTEM:
        return "of the system"
    return "hidden" if name.startswith(".") else ""


def written_by_gantune(names: Collection[str]) -> list[str]:
    """Of the names in one folder, what a search or training has written there besides tables."""
    if not any(marks <= set(names) for marks in _RUN):
        return []
    return [name for name in names if _RUN_PICTURES.fullmatch(name)]


def words_of(name: str) -> list[str]:
    """The words and numbers of a name, in lower case: div, 2, k, train, hr of DIV2K_trainHR."""
    return [found[0].lower() for found in _WORD.finditer(name)]


def beside(folders: Sequence[str], has_files: bool) -> dict[str, str]:
    """Folders that are no images of their own beside others: masks and thumbnails."""
    named = [name for name in folders if not reason_of_name(name)]
    reasons = {name: f"folder beside {images}/" for name, images in companions(named).items()}
    small = [name for name in named if _THUMBNAILS.fullmatch(name)]
    if has_files or len(small) < len(named):
        reasons |= dict.fromkeys(small, "folder of thumbnails")
    return reasons


def companions(names: Collection[str]) -> dict[str, str]:
    """Names of masks and the like, each with the name of the images that they belong to.

    ``masks`` beside ``images``, ``ct_masks`` beside ``ct_images``, ``LR_bicubic`` beside ``HR``.
    Words of few details count only where all names have such words.
    """
    found: dict[str, str] = {}
    for images, others in COMPANIONS:
        of_images = {name: rest for name in names if (rest := _without(name, images)) is not None}
        its_own = {
            name: rest
            for name in names
            if name not in of_images and (rest := _without(name, others)) is not None
        }
        if others is _DETAILED[1] and len(of_images) + len(its_own) < len(names):
            continue
        owners: dict[tuple[str, ...], str] = {}
        for name, rest in of_images.items():
            owners.setdefault(tuple(rest), name)
        found |= {
            name: owners[key] for name, rest in its_own.items() if (key := tuple(rest)) in owners
        }
    return found


def _without(name: str, words: Collection[str]) -> list[str] | None:
    """The words of a name without those that are in ``words``, and without numbers and versions;
    ``None`` if none is in ``words``."""
    if name.lower() in words:
        return []
    held = words_of(name)
    if not any(word in words for word in held):
        return None
    return [w for w in held if w not in words and w not in _VERSIONS and not w.isdigit()]


def find_parts(folders: Collection[str]) -> dict[str, tuple[str, str]]:
    """Part and domain of the folders of one level; empty where they are no parts.

    They are where two parts are there, such as ``train`` and ``test``, or ``seg_train`` and
    ``seg_test``, and nothing else, or something else beside ``train`` and one of ``val`` and
    ``test``. ``trainA`` and ``trainB`` have the domains ``A`` and ``B``; most parts have none,
    which is "". Each part has domains of ``train``.
    """
    named = {name: found for name in folders if (found := _part_and_domain(name, PARTS))}
    named = _by_short_words(folders) or named
    masks = companions({domain for _, domain in named.values()})
    if masks:  # train_images beside train_masks
        named = {name: each for name, each in named.items() if each[1] not in masks}
        folders = [name for name in folders if name in named]
    plain = {part for name, (part, _) in named.items() if name.lower() == part}
    named = {  # train is, trainval beside it is not
        name: (part, domain)
        for name, (part, domain) in named.items()
        if domain or part not in plain or _is_piece(name, part)
    }
    of_part: dict[str, set[str]] = {}
    for part, domain in named.values():
        of_part.setdefault(part, set()).add(domain.lower())
    bases = [part for part in _BASES if part in of_part]
    first = of_part.get("train") or (of_part[bases[0]] if bases else set())
    if "" in first:  # train is, train_small beside it is not
        first = {""}
    if len(first) == 1:  # something else: test-tubes beside train and test
        named = {name: each for name, each in named.items() if each[1].lower() in first}
        of_part = {part: domains & first for part, domains in of_part.items() if domains & first}
        bases = [part for part in bases if part in of_part]
    if not bases or any(not found <= first for found in of_part.values()):
        return {}
    is_all = len(named) == len(folders)
    if len(of_part) > 1 and (is_all or (len(bases) > 1 and "train" in bases and len(first) == 1)):
        return named
    letters = all(len(domain) == 1 and domain.isupper() for _, domain in named.values())
    return named if is_all and len(first) > 1 and letters else {}


def _is_piece(name: str, part: str) -> bool:
    """Whether a name is that of a part but for its numbers: train, train_1 and train2017."""
    return [word for word in words_of(name) if not word.isdigit()] == [part]


def _by_short_words(folders: Collection[str]) -> dict[str, tuple[str, str]]:
    """The parts of names that all agree but for short words: imagesTr, imagesTs and labelsTr."""
    words = {**PARTS, **_SHORT}
    named = {name: found for name in folders if (found := _part_and_domain(name, words))}
    domains = {domain for _, domain in named.values()}
    rests = domains - companions(domains).keys()
    is_sure = len(named) == len(folders) and len(rests) == 1 and "" not in rests
    told = {part for part, _ in named.values()}
    return named if is_sure and {"train", "test"} <= told else {}


def find_only_part(folders: Collection[str]) -> str | None:
    """The part that the only folder of a level is, unless it is ``train``."""
    found = _part_and_domain(next(iter(folders)), PARTS) if len(folders) == 1 else None
    return found[0] if found and found[1] == "" and found[0] in ("val", "test") else None


def other_meaning(name: str) -> str:
    """What a class may be meant as: a part, such as ``train`` and ``testA``, or masks."""
    if name.lower() in _MASKS - {"mask", "label", "gt"}:
        return "it holds masks"
    if name.lower() in _COPIES:
        return "it holds versions of other images"
    found = _part_and_domain(name, PARTS)
    is_part = found and (found[1] == "" or (len(found[1]) == 1 and found[1].isupper()))
    return "it is a part of the set" if is_part else ""


def _part_and_domain(name: str, words: Mapping[str, str]) -> tuple[str, str] | None:
    """The part that one of the words in a name means, and the rest of the name, which may be
    empty."""
    held = [(found[0].lower(), found.span()) for found in _WORD.finditer(name)]
    told = [(words[word], place) for word, place in held if word in words]
    if {part for part, _ in told} == {"train", "val"}:  # train_val is what is trained on
        told = [("train", (told[0][1][0], told[-1][1][1]))]
    if len(told) != 1:
        return None
    (part, (start, end)) = told[0]
    rest = re.split(r"[_\-. ]+", f"{name[:start]} {name[end:]}")
    kept = (word for word in rest if word and not word.isdigit())
    return part, "_".join(word for word in kept if word.lower() not in _NEUTRAL)


# ---- Folders that only divide one set: numbers, dates, starts of names -------------------------

_PIECES = frozenset(
    (
        *("chunk", "part", "piece", "batch", "shard", "fold", "split", "subset", "set", "block"),
        *("images", "image", "imgs", "img", "pics", "pictures", "photos", "frames", "files"),
        *("data", "dataset", "archive", "vol", "volume", "folder", "dir", "directory", "disc"),
        *("tar", "zip", "train", "test", "val", "unlabeled"),
    )
)
_NUMBER = re.compile(
    r"(?:[_\-. ]*\(?[0-9]{1,6}(?:[_\-. ]*of[_\-. ]*[0-9]+)?\)?|(?<=part)[_\-. ]+[A-Za-z])\Z",
    re.IGNORECASE,
)  # at the end of a name: images_001, archive (1), shard-00000-of-00002, part_B
_RANGE = re.compile(r"([0-9]{1,18})[_\-. ]+([0-9]{1,18})")
_HASH = re.compile(r"[0-9a-f]{16,}")
_SIZES = (100, 1000, 10_000)  # images in a folder of FFHQ, StyleGAN and similar tools
_OF_STYLEGAN = 5, 8  # digits of its folders and files: 00001/img00001234.png
_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_TWO = re.compile(r"[0-9]{2}")
_NAMED_MONTH = (
    r"(?:[01]?[0-9][_\-. ]*)?(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = re.compile(
    rf"{_YEAR}(?P<by>[_\-. ]){_MONTH}(?:(?P=by){_DAY}(?:[_\-. T]?[0-9]{{4,6}})?)?"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[_\-. T]?[0-9]{{4,6}})?"
    rf"|{_DAY}[_\-. ]{_MONTH}[_\-. ]{_YEAR}|{_MONTH}[_\-. ]{_YEAR}"
)
_CAMERA = re.compile(r"[1-9][0-9]{2}(?P<text>[A-Z_]{5}|_[A-Z0-9_]{4})")  # 100CANON in DCIM


def chunk_kind(level: int, first: int, paths: Sequence[Sequence[str]], files: Sequence[str]) -> str:
    """What the folders at a level are, if they only divide a set; empty if they are classes.

    ``first``: the first level whose folders may divide the set; ``paths``: the folders above each
    image, at least up to ``level``; ``files``: its file's name.
    """
    folders = sorted({path[level] for path in paths})
    if _are_numbered(level, folders, paths, files):
        return "numbered parts of one set"
    if _are_dates(level, folders, paths):
        return "dates"
    if _are_starts(level, first, paths, files):
        return "the first letters of the names in them"
    return ""


def are_alike(folders: Collection[str]) -> bool:
    """Whether names differ by their numbers alone, as p1 and p2 do."""
    names = iter(folders)
    text = _without_number(next(names)).lower()
    return all(_without_number(name).lower() == text for name in names)


def _without_number(name: str) -> str:
    return _NUMBER.sub("", name)


def _are_numbered(
    level: int, folders: Sequence[str], paths: Sequence[Sequence[str]], files: Sequence[str]
) -> bool:
    if all(re.fullmatch(r"[0-9]{2,12}", name) for name in folders):
        return _are_counted(folders, [path[level] for path in paths], files)
    if all(_RANGE.fullmatch(name) for name in folders):
        ranges = {name: [int(n) for n in re.findall("[0-9]+", name)] for name in folders}
        of_files = [
            (_number(file), *ranges[p[level]]) for p, file in zip(paths, files, strict=True)
        ]
        ends = [end for pair in sorted(ranges.values()) for end in pair]
        return ends == sorted(ends) and all(first <= n <= last for n, first, last in of_files)
    if are_alike(folders):
        last = re.search("[A-Za-z]+\\Z", _without_number(folders[0]))
        return last is not None and last[0].lower() in _PIECES
    cameras = [_CAMERA.fullmatch(name) for name in folders]
    return None not in cameras and len({each["text"] for each in cameras if each}) == 1


def _are_counted(folders: Sequence[str], of_files: Sequence[str], files: Sequence[str]) -> bool:
    """Whether folders hold images by their numbers: nearly full ones of so many each, or with the
    names of FFHQ and StyleGAN.

    Classes are called so too, and their images ``01/0100.png``, but these do not fill hundreds.
    """
    if all(len(name) >= 5 and int(name) % 1000 == 0 for name in folders):
        if [int(name) for name in folders] == list(range(0, 1000 * len(folders), 1000)):
            return True
        places = zip(of_files, files, strict=True)
        return all(_number(file) // 1000 * 1000 == int(folder) for folder, file in places)
    digits = {(len(name), len(_digits(file))) for name, file in zip(of_files, files, strict=True)}
    held = Counter(of_files)
    for size in _SIZES:
        places = zip(of_files, files, strict=True)
        if all(_number(file) // size == int(folder) for folder, file in places):
            full = [name for name in folders if held[name] >= size / 2]
            is_full = len(full) >= max(1, len(folders) - 1)  # the last one may have a few
            return is_full or (size == 1000 and digits == {_OF_STYLEGAN})
    return False


def _digits(file: str) -> str:
    """The digits at the end of a file's name."""
    stem = file.rpartition(".")[0] or file
    return stem[len(stem.rstrip("0123456789")) :][-18:]


def _number(file: str) -> int:
    """The number at the end of a file's name; -1 if there is none."""
    return int(_digits(file) or -1)


def _are_dates(level: int, folders: Sequence[str], paths: Sequence[Sequence[str]]) -> bool:
    if all(_DATE.fullmatch(name) for name in folders):
        return True
    if all(re.fullmatch(_YEAR, name) for name in folders):  # of months; 1990 may be a class
        return all(len(path) > level + 1 and _is_month(path[level + 1]) for path in paths)
    above = ["/".join(path[max(0, level - 2) : level]) for path in paths]
    if all(re.fullmatch(rf"(?:.*/)?{_YEAR}", text) for text in above):
        return all(_is_month(name) for name in folders)
    month = rf"{_YEAR}/(?:{_MONTH}|{_NAMED_MONTH})|.*{_YEAR}.?{_MONTH}"
    if all(re.fullmatch(month, text) for text in above):
        return all(_TWO.fullmatch(name) and re.fullmatch(_DAY, name) for name in folders)
    return False


def _is_month(name: str) -> bool:
    is_number = _TWO.fullmatch(name) and re.fullmatch(_MONTH, name)
    return bool(is_number or re.fullmatch(_NAMED_MONTH, name))


def _are_starts(
    level: int, first: int, paths: Sequence[Sequence[str]], files: Sequence[str]
) -> bool:
    """``a/abbey/``, ``0/1/01f3.png`` and names of hashes; not ``a/a1.png``: they may be classes."""
    if any(len(path[level]) > 2 for path in paths):
        return False
    stems = [(file.rpartition(".")[0] or file).lower() for file in files]
    are_hashes = any(_HASH.fullmatch(stem) and not stem.isdigit() for stem in stems)
    whole = range(first, -1, -1)  # where the start of a name may begin: all/0/1/01f3.png
    return any(_are_starts_from(start, level, first, paths, stems, are_hashes) for start in whole)


def _are_starts_from(
    start: int,
    level: int,
    first: int,
    paths: Sequence[Sequence[str]],
    stems: Sequence[str],
    are_hashes: bool,
) -> bool:
    """Whether the folders from the level ``start`` on, joined, are the starts of names."""
    for path, stem in zip(paths, stems, strict=True):
        letter, inner = (each.lower() for each in (*path[level : level + 2], "")[:2])
        least = 1 if are_hashes and _HASH.fullmatch(stem) else 2  # levels that divide the set
        above = path[start : max(first + least, level + 1)]
        of_file = len(path) >= first + least and stem.startswith("".join(above).lower())
        of_folder = letter.isalpha() and inner.startswith(letter) and inner != letter
        if not (of_file or of_folder):
            return False
    return True
