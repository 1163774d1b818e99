"""Publishes a search while it runs, in a process of its own that can never hold it up."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from gantune.run_folder.run import RunFolder
from gantune.space.settings import TrackerName

_LONGEST = 60.0  # seconds that the last publishing may take


@contextmanager
def publishing(
    folder: RunFolder, study: str, names: Sequence[TrackerName], message: Callable[[str], None]
) -> Iterator[None]:
    """Publishes the run folder to trackers within the block; nothing where ``names`` is empty.

    A tracker that fails is told by ``message``, once. At the end the last results are sent; where
    that takes longer than a minute, a message says how to send them later.
    """
    if not names:
        yield
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-m", "gantune.tracking.publisher")
    try:
        with (folder.path / "tracking.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, str(folder.path), study, *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the search
            )
    except OSError as error:
        message(f"not tracked: {error}")
        yield
        return
    telling = threading.Thread(target=_tell, args=(process, folder, message), daemon=True)
    telling.start()
    try:
        yield
    finally:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            message(
                f"tracking took longer than {_LONGEST:g} s; send the rest with "
                f"gantune track {folder.path}"
            )
        telling.join(timeout=1)


def _tell(
    process: subprocess.Popen[bytes], folder: RunFolder, message: Callable[[str], None]
) -> None:
    """Passes on what the process prints: where the runs are shown, and why a tracker failed."""
    assert process.stdout is not None
    for line in process.stdout:
        text = line.decode(errors="replace").strip()
        _, is_failure, why = text.rpartition("failed: ")
        if is_failure:
            text = (
                f"tracking failed, and the search goes on: {why}; {folder.path / 'tracking.log'} "
                f"has more, and gantune track {folder.path} tries again"
            )
        message(text)
    process.stdout.close()
