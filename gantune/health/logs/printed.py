"""Lines that a trainer prints: ``[3/25][100/782] Loss_D: 0.41 Loss_G: 3.2`` and the like."""

from __future__ import annotations

import re

from gantune.health.logs.columns import PLACES
from gantune.health.logs.names import meaning

_WHOLE = r"\d{1,3}(?:,\d{3})+|\d+"
_NUMBER = (
    r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?\.?(?:[eE][-+]?\d+)?|\.\d+|nan|infinity|inf"
    r"|none|na)"
)
_VALUE = re.compile(
    rf"\s*[:=]\s*(?P<value>[\[(]?\s*(?:<?[A-Za-z_][\w.]*\([^)]*\)|{_NUMBER}(?![\w]|:\d)))",
    re.IGNORECASE,
)
_ARROW = re.compile(r"\s*(?:>>|-+>)(?=\s*[-+]?\.?\d)")  # D loss >> 1.2
_TWO = re.compile(  # Gen/Dis Loss: 0.7/1.4
    r"\b(?P<one>[A-Za-z]\w*)\s?/\s?(?P<other>[A-Za-z]\w*)(?P<what>[ _]loss(?:es)?)?\)?"
    rf"\s*(?:[:=]|>>)?\s*(?P<first>{_NUMBER})\s*/\s*(?P<second>{_NUMBER})",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\d{4}[-/]\d\d?[-/]\d\d?(?:[T _,]*\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?)?"
    r"|\d\d?/\d\d?\s+\d\d?:\d\d(?::\d\d)?|\d+:\d\d(?::\d\d)?"
)
_REPEATED = re.compile(r"(\D)\1{7,}")  # rules, bars and gaps, which take patterns long
_REMARK = re.compile(r"(?<=\w)\s+\([^()]*\)(?=\s*[:=])")  # FID (5000 samples): 20
_VALIDATION = re.compile(r"\b(?:val|valid|validation|eval|evaluation|test)\b", re.IGNORECASE)
_RULES = "=*#-"  # ==== Training Loss ====
_SCORE = re.compile(r"\bfid(?!el)|\bfr[eé]chet inception distance", re.IGNORECASE)
_BEST = re.compile(r"\bbest\b", re.IGNORECASE)
_SCORE_NAME = re.compile(r"fid\w*$", re.IGNORECASE)
_GAP = r"[\s:#=\[(]{0,12}"  # between a counter's word and its number
_COUNTER = re.compile(
    r"(?P<word>epochs?|ep|batch(?:es)?|steps?|iter(?:ation)?s?|itr|it|tick|kimg|train)?"
    rf"(?:\((?:train|training)\))?{_GAP}(?<![\d.\w/])(?P<at>{_WHOLE})\s*/\s*(?P<of>{_WHOLE})(?![\d.]*/)",
    re.IGNORECASE,
)
_WORD = re.compile(
    rf"\b(?P<word>epoch|ep|batch|step|iter(?:ation)?|itr|kimg)s?\b{_GAP}"
    rf"(?P<at>(?:{_WHOLE})(?:\.\d+)?)",
    re.IGNORECASE,
)
_LEADING = re.compile(rf"\s*>?(?P<at>{_WHOLE})\s*(?=[\[:|,]|\s[A-Za-z\[])")
_SNAPSHOT = re.compile(r"network-snapshot-(\d+)")
_SPACED = re.compile(
    r"(?P<name>(?:[A-Za-z_]\w*[ _/-])?(?:loss|fid\d*k?\w*)(?:[ _/-]?[A-Za-z]\w*)?)\s+(?:is\s+)?"
    rf"(?P<value>{_NUMBER})(?!\w)",
    re.IGNORECASE,
)
_AFTER = re.compile(rf"\bafter\s+(?P<at>{_WHOLE})\s+(?:steps|iter\w*)", re.IGNORECASE)
_AT = re.compile(  # D loss at step 500
    r"\s+(?:at|after|in|for)\s+(?:step|epoch|batch|iter(?:ation)?)s?\s*\d*\s*$", re.IGNORECASE
)
_WORD_VALUE = re.compile(r"\s*(?:no|yes|true|false|on|off|none|n/a)\s+(?=[a-z])", re.IGNORECASE)
_PLACE_OF = {"epoch": "epoch", "ep": "epoch", "kimg": "kimg", "tick": "tick", "train": "step"}
_LONGEST = 2000  # characters; a longer line is no printed line of losses


def pairs(line: str, *, is_validation: bool = False) -> dict[str, str]:
    """The names and values in a line, in order: of ``name: value``, ``name = value``, and for
    losses also ``name value``. Empty where there are none.

    Counters such as ``[3/25][100/782]``, ``Epoch 3/25`` or ``Step [100/782]`` become ``epoch`` and
    ``step``. Dates and times are left out. ``is_validation``: the losses are of another set than
    the one that is learned, as a line may say itself.
    """
    if len(line) > _LONGEST:
        return {}
    text = _REPEATED.sub(r"\1\1\1", _TIME.sub(" ", line))
    found = _counters(text)
    text = _TWO.sub(r"\g<one>\g<what>: \g<first>, \g<other>\g<what>: \g<second>", text)
    text = _ARROW.sub(":", text)
    text, end = _REMARK.sub("", text), 0
    for match in _VALUE.finditer(text):
        name = _name(text[end : match.start()])
        end = match.end()
        if name:
            found.setdefault(name, match["value"].strip("[( "))
    for match in _SPACED.finditer(text):
        found.setdefault(match["name"], match["value"])
    if is_validation or _VALIDATION.search(text):
        return {name if name in PLACES else f"val {name}": one for name, one in found.items()}
    return found


def heading(line: str) -> bool | None:
    """Whether a heading, a line between two rules, says that the losses below it are those of a
    validation set; ``None`` for any other line."""
    text = line.strip()
    if not text or text[0] not in _RULES or len(text) > _LONGEST:
        return None
    rule = 3 * text[0]
    if not (text.startswith(rule) and text.endswith(rule)) or not text.strip(text[0]):
        return None
    return bool(_VALIDATION.search(line)) and "loss" in line.lower()


def _name(before: str) -> str:
    """The name at the end of the text before a value."""
    part = re.split(r"[,;|\[\]{}\t]", before)[-1]
    if _SCORE.search(part):
        if _BEST.search(part):  # of an earlier place
            return "best FID"
        own = _SCORE_NAME.search(part.strip())
        return own[0] if own and meaning(own[0]) else "FID"
    part = re.split(r"[:=]+>?|>>|\s{2,}|(?<![\w/.])\d[\d.,/]*[%k]?\s+(?=[A-Za-z])|\s-+>?\s", part)[
        -1
    ]
    part = _WORD_VALUE.sub("", part)
    text = _AT.sub("", part).strip().lstrip(")(*#>%- ").strip("\"' ")
    if text.count("(") > text.count(")"):
        text = text.rpartition("(")[2]
    if text.count("(") < text.count(")"):  # of a bracket that was opened before
        text = text.rpartition(")")[2].strip() if not text.endswith(")") else text.rstrip(")")
    return text if re.search(r"[A-Za-z]", text) and len(text) <= 60 else ""


def _counters(text: str) -> dict[str, str]:
    """Epoch, step and kimg as counters say them; those with a word before those without."""
    found: dict[str, str] = {}
    unnamed = []
    for match in _COUNTER.finditer(text):
        word = (match["word"] or "").lower().rstrip("s")
        if word and word != "train":
            found.setdefault(_PLACE_OF.get(word, "step"), match["at"])
        else:
            unnamed.append(match["at"])
    if after := _AFTER.search(text):
        found.setdefault("step", after["at"])
    for match in _WORD.finditer(text):
        found.setdefault(_PLACE_OF.get(match["word"].lower(), "step"), match["at"])
    if snapshot := _SNAPSHOT.search(text):  # StyleGAN's file has its kimg
        found.setdefault("kimg", snapshot[1])
    leading = _LEADING.match(text)
    if leading and not found:
        found["epoch" if unnamed and leading["at"] != unnamed[0] else "step"] = leading["at"]
    places = ["epoch", "step"] if len(unnamed) > 1 and "epoch" not in found else ["step"]
    for place, at in zip(places, unnamed, strict=False):
        found.setdefault(place, at)
    return found
