"""Imports objects of the user's code: ``package.module:name``, or a name in a file."""

import hashlib
import importlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from gantune.errors import summarize_error
from gantune.io.validation import did_you_mean


def import_named(name: str, folder: str) -> Any:
    """Imports the object that ``package.module:name`` names, from ``folder`` first.

    A folder that has the module stays on ``sys.path``, because the module may import more from it
    later. Raises ``ImportError``: its text says what is wrong, and its cause is the module's own
    error.
    """
    home, _, path = name.partition(":")
    if PathFinder.find_spec(home.partition(".")[0], [folder]) is not None:
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
    return _attribute(module, home, path)


def import_file(file: Path, path: str) -> Any:
    """Executes a Python file and returns the object that ``path`` names in it.

    The file is executed at each call, and its imports are searched in its folder. Raises
    ``ImportError`` as ``import_named`` does.
    """
    if not file.is_file():
        raise ImportError(f"there is no file {file}")
    _search_in(str(file.parent))
    spec = importlib.util.spec_from_file_location(_module_name(file), file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look the module up here
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise _failure(file.name, error) from error
    return _attribute(module, file.name, path)


def _search_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _module_name(file: Path) -> str:
    """The stem of the file; with a hash of its path where another module has that name."""
    loaded = sys.modules.get(file.stem)
    is_taken = loaded is not None and getattr(loaded, "__file__", None) != str(file)
    if not is_taken and file.stem not in sys.stdlib_module_names:
        return file.stem
    return f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"


def _attribute(module: ModuleType, home: str, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise ImportError(f"{home} has no {part!r}{did_you_mean(part, vars(found))}")
        found = getattr(found, part)
    return found


def _failure(home: str, error: BaseException) -> ImportError:
    return ImportError(f"importing {home} fails: {summarize_error(error)}")
