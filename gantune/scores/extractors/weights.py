"""Weights of published feature networks: their download, and reading a file of them safely."""

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gantune.errors import ScoreError, first_line

_TIMEOUT = 20.0  # seconds without data, after which a download fails
_HASH = re.compile(r"-([0-9a-f]{8,})\.")  # in a file's name, as torch.hub writes it


@dataclass(frozen=True)
class Published:
    """Weights that are published under an address, and kept in torch.hub's folder."""

    url: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """Where a download is kept; it may not exist yet."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def download(self) -> Path:
        """Downloads the file, unless it is there. Raises ``ScoreError`` where that fails."""
        path = self.path
        if path.exists():
            return path
        hashed = _HASH.search(self.file)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_TIMEOUT)  # torch.hub has no timeout and could wait forever
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(path), hashed and hashed[1])
        except Exception as error:  # whatever a network, a proxy or a disk can do
            raise ScoreError(
                f"the weights cannot be downloaded ({first_line(error)}); download {self.url} by "
                f"other means to {path}, or name the file with objective.weights or --weights (of "
                "objective.also and --also: NAME=FILE)"
            ) from None
        finally:
            socket.setdefaulttimeout(before)
        return path


def read_weights(path: Path, needed: str) -> dict[str, Any]:
    """The state dict in a file. No code in it is run.

    ``needed``: which file it should be, for errors. Raises ``ScoreError`` where it is missing,
    damaged, or contains something else.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ScoreError(f"{path}: no such file; {needed} is needed") from None
    except OSError as error:
        raise ScoreError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # a damaged file can raise anything
        raise ScoreError(
            f"{path}: no file of weights, or a damaged one ({first_line(error)}); "
            f"{needed} is needed"
        ) from None
    if not isinstance(found, dict):
        raise ScoreError(f"{path}: contains no weights but a {type(found).__name__}")
    return found
