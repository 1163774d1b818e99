"""Objects of the user's own code by name: ``package.module:name``, or a name in a file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from gantune.io.validation import nearest


def import_named(name: str, folder: str) -> Any:
    """What ``package.module:name`` names; the module is looked for in ``folder`` first.

    The folder stays on ``sys.path``, as the module may import more of it later. Raises
    ``ImportError`` whose text says what is wrong, and whose cause is the module's own error.
    """
    home, _, path = name.partition(":")
    _search_in(folder)
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{home}.".startswith(f"{error.name}."):
            raise _failure(home, error) from error
        raise ImportError(
            f"there is no module {error.name!r}, neither installed nor in {folder}"
        ) from None
    except (Exception, SystemExit) as error:
        raise _failure(home, error) from error
    return _found(module, home, path)


def import_file(file: Path, path: str) -> Any:
    """What ``path`` names in a Python file, whose own folder is searched for what it imports.

    Read anew each time. Raises ``ImportError`` as ``import_named`` does.
    """
    if not file.is_file():
        raise ImportError(f"there is no file {file}")
    _search_in(str(file.parent))
    spec = importlib.util.spec_from_file_location(_module_name(file), file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look for it there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise _failure(file.name, error) from error
    return _found(module, file.name, path)


def first_line(error: BaseException) -> str:
    """An error's kind and the first line of what it says."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _search_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _module_name(file: Path) -> str:
    """The file's own name, unless another module has it."""
    there = sys.modules.get(file.stem)
    is_taken = there is not None and getattr(there, "__file__", None) != str(file)
    if not is_taken and file.stem not in sys.stdlib_module_names:
        return file.stem
    return f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"


def _found(module: ModuleType, home: str, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise ImportError(f"{home} has no {part!r}{nearest(part, vars(found))}")
        found = getattr(found, part)
    return found


def _failure(home: str, error: BaseException) -> ImportError:
    return ImportError(f"importing {home} fails: {first_line(error)}")
