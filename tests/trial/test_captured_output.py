"""The output of an external trainer is captured completely and kept in part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gantune.trial.captured_output import MOST, truncate_middle

CODE = """
import os, subprocess, sys
from pathlib import Path
from gantune.trial.captured_output import redirect_output
print("before")
with redirect_output(Path(sys.argv[1])):
    print("the beginning")
    for _ in range(60_000):
        print("x" * 99)
    os.write(2, b"of C code\\n")
    subprocess.run(["echo", "of a child"])
    print("the end")
print("after")
"""


def test_all_that_is_printed_within_goes_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "output.txt"
    command = [sys.executable, "-c", CODE, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("before\nafter\n", "")
    text = file.read_text()
    assert text.startswith("the beginning\n")
    assert text.endswith("of C code\nof a child\nthe end\n")
    assert "left out" in text
    assert len(text) < MOST


def test_a_short_file_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "output.txt"
    truncate_middle(file)
    assert not file.exists()
    file.write_bytes(b"x" * MOST)
    truncate_middle(file)
    assert file.stat().st_size == MOST
