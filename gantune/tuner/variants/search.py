"""A search whose space is made here and not written by a person."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gantune.errors import ConfigError, GantuneError
from gantune.io.yaml_document import format_document
from gantune.run_folder.run import RunFolder
from gantune.space import load_space
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.run import run_search
from gantune.tuner.state import RunState, SearchObserver

_LONGEST = 100  # characters


def search_tree(
    tree: Mapping[str, Any],
    options: Options,
    observer: SearchObserver,
    *,
    judges_alone: bool = False,
) -> RunState:
    """Searches the space of a file with this content, or resumes that search.

    ``judges_alone``: whether rules about pace judge each run without the others. Messages of errors
    do not name a place in that file, which nobody has written.
    """
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "space.yaml"
        path.write_text(format_document(dict(tree)), encoding="utf-8")
        try:
            search = prepare(load_space(path), options, observer)
        except GantuneError as error:
            text = re.sub(rf"{re.escape(str(path))}(:\d+)*: ", "", str(error))
            if text == str(error):
                raise
            raise ConfigError(text) from None
    return run_search(replace(search, judges_alone=judges_alone), observer)


def study_name(text: str) -> str:
    """A text as far as a study can have it for its name; of a long one the end."""
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")
    return found[-_LONGEST:].strip("._-") or "search"


def study_of(folder: RunFolder) -> str:
    """The name of the study in a folder, after the folder's."""
    return study_name(folder.path.resolve().name)
