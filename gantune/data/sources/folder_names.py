"""What names of folders say: parts of a set, masks and thumbnails beside images, chunks."""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

PARTS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val"},
    **{"unlabeled": "unlabeled", "unlabelled": "unlabeled", "extra": "extra"},
}
"""Words for parts of a set, in lower case, with the part that each means."""
_BASES = ("train", "val", "test")
# trainA, train_A, train-photo, train2017
_WITH_DOMAIN = re.compile(
    rf"(?P<part>(?i:{'|'.join(sorted(PARTS, key=len, reverse=True))}))"
    r"(?:[_\-. ]?(?P<year>[0-9]{4})|(?P<letter>[A-Z][A-Za-z0-9]*)|[_\-. ](?P<word>.+))"
)
_IMAGES = frozenset(("images", "image", "imgs", "img", "jpegimages"))
_MASKS = frozenset(
    (
        *("masks", "mask", "labels", "label", "annotations", "annotation", "anns", "gt"),
        *("ground_truth", "groundtruth", "segmentation", "segmentations"),
        *("segmentationclass", "segmentationobject"),
    )
)
_SYSTEM = frozenset(("__macosx", "@eadir", "$recycle.bin", "#recycle", "lost+found", "__pycache__"))
_RUN = (frozenset(("run.json", "space.yaml")), frozenset(("config.yaml", "ticks.jsonl")))
_RUN_PICTURES = re.compile(
    r"trials|finalists|artifacts|extractor|checkpoints|best|last|real\.png|neighbours\.png"
    r"|samples-.*\.png"
)
_CHUNK = 1000  # images in a folder of FFHQ or StyleGAN


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


def beside(folders: Sequence[str], has_files: bool) -> dict[str, str]:
    """Folders that are no images of their own beside others: masks and thumbnails."""
    named = {name: name.lower() for name in folders if not reason_of_name(name)}
    reasons = {}
    if any(name in _IMAGES for name in named.values()):
        reasons = {name: "folder beside images/" for name, low in named.items() if low in _MASKS}
    small = [name for name, low in named.items() if low.startswith(("thumbnail", "thumbs"))]
    if has_files or len(small) < len(named):
        reasons |= dict.fromkeys(small, "folder of thumbnails")
    return reasons


def find_parts(folders: Collection[str]) -> dict[str, tuple[str, str]]:
    """Part and domain of the folders of one level; empty where they are no parts.

    They are where two parts are there, such as ``train`` and ``test``, and nothing else, or
    something else beside ``train`` and one of ``val`` and ``test``. ``trainA`` and ``trainB`` have
    the domains ``A`` and ``B``; most parts have none, which is "". Each part has domains of
    ``train``.
    """
    named = {name: found for name in folders if (found := _part_and_domain(name))}
    domains = {domain.lower() for _, domain in named.values()}
    if domains & _IMAGES:  # train_images beside train_masks
        kept = {name: each for name, each in named.items() if each[1].lower() not in _MASKS}
        named = {
            name: (part, "" if domain.lower() in _IMAGES else domain)
            for name, (part, domain) in kept.items()
        }
        folders = set(folders) & set(named)
    of_part: dict[str, set[str]] = {}
    for part, domain in named.values():
        of_part.setdefault(part, set()).add(domain)
    bases = [part for part in _BASES if part in of_part]
    first = of_part.get("train") or (of_part[bases[0]] if bases else set())
    if not bases or any(not found <= first for found in of_part.values()):
        return {}
    is_all = len(named) == len(folders)
    if len(of_part) > 1 and (is_all or (len(bases) > 1 and "train" in bases and first == {""})):
        return named
    letters = all(len(domain) == 1 and domain.isupper() for domain in first)
    return named if is_all and len(first) > 1 and letters else {}


def find_only_part(folders: Collection[str]) -> str | None:
    """The part that the only folder of a level is, unless it is ``train``."""
    found = _part_and_domain(next(iter(folders))) if len(folders) == 1 else None
    return found[0] if found and found[1] == "" and found[0] in ("val", "test") else None


def looks_like_part(name: str) -> bool:
    """Whether a class may be meant as a part: ``train``, ``testA``, ``unlabeled``."""
    found = _part_and_domain(name)
    return found is not None and (found[1] == "" or (len(found[1]) == 1 and found[1].isupper()))


def are_chunks(folders: Sequence[str], names: Sequence[str]) -> bool:
    """Whether folders are those into which FFHQ (01000/) and StyleGAN (00001/) put 1,000 images."""
    distinct = set(folders)
    if not all(re.fullmatch(r"[0-9]{5,12}", name) for name in distinct):
        return False
    if all(int(name) % _CHUNK == 0 for name in distinct):
        return True
    for folder, name in zip(folders, names, strict=True):
        digits = re.search(r"([0-9]{1,18})$", PurePosixPath(name).stem)
        if digits is None or int(digits[1]) // _CHUNK != int(folder):
            return False
    return True


def _part_and_domain(name: str) -> tuple[str, str] | None:
    if part := PARTS.get(name.lower()):
        return part, ""
    if (found := _WITH_DOMAIN.fullmatch(name)) is None:
        return None
    return PARTS[found["part"].lower()], found["letter"] or found["word"] or ""
