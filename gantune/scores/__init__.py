"""Scores: feature extractors, Frechet distances and the protocol of each score.

Names are imported when first used, so that records of scores can be read without torch.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Evaluator": "evaluator",
    "Extractor": "features",
    "ExtractorChoice": "extractors.selection",
    "HeldOut": "score",
    "Protocol": "score",
    "Protocols": "evaluator",
    "RealImages": "real_features",
    "Score": "score",
    "check_comparable": "score",
    "differing_fields": "score",
    "load_extractor": "extractors.store",
    "make_protocols": "evaluator",
    "missing_classes": "score",
    "resolve_extractor": "extractors.store",
    "warnings": "score",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
