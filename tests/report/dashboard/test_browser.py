"""The dashboard of a real run in a real browser: gantune's, and plain optuna-dashboard."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome
from tests.forked import Forked, fork_workers
from tests.tuner.factory import make_driver, toy_space

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),  # a search is really trained
    pytest.mark.xdist_group("browser"),  # one browser for all tests
]

LIMIT = 120_000  # milliseconds
EVIL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails the test if its console has an error."""
    page, errors = browser.new_page(viewport={"width": 1280, "height": 1000}), []
    page.set_default_timeout(LIMIT)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    yield page
    page.close()
    assert not errors


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A search of two trials of 1 kimg, really trained, by small networks."""
    folder = RunFolder(tmp_path_factory.mktemp("searched") / "dcgan")
    scores = ("objective.samples=64", "objective.rung_samples=64", "finalists.top=0")
    small = (*scores, "network.width=4")
    command = ["search", "dcgan", "--trials", "2", "--kimg", "1", "--workers", "1"]
    command += [part for each in small for part in ("--set", each)]
    with fork_workers():
        line = [sys.executable, "-m", "gantune", *command, "--out", str(folder.path)]
        search = Forked(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _, error = search.communicate()
    assert search.returncode == 0, error
    return folder


@contextmanager
def program(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


@contextmanager
def plain(folder: RunFolder, *options: str) -> Iterator[str]:
    """The URL of a plain optuna-dashboard."""
    name = Path(sys.executable).with_name("optuna-dashboard")
    url = "http://127.0.0.1:18437"
    port = url.rpartition(":")[2]
    with program(str(name), str(folder.journal), "--port", port, *options):
        end = time.monotonic() + LIMIT / 1000
        while True:
            try:
                urllib.request.urlopen(f"{url}/api/meta", timeout=60).close()
                break
            except urllib.error.URLError:
                assert time.monotonic() < end
                time.sleep(0.2)
        yield url


def loaded_images(page: Any) -> int:
    """How many pictures of runs the page shows; waits until all are loaded."""
    found = page.locator("img[src*='/artifacts/']")
    found.first.wait_for()
    pictures = "[...document.querySelectorAll('img[src*=\"/artifacts/\"]')]"
    page.wait_for_function(f"{pictures}.every(picture => picture.naturalWidth > 99)")
    return int(found.count())


def check_pages(page: Any, url: str, folder: RunFolder) -> None:
    """The study in the list, its note, and a trial's note and pictures."""
    page.goto(f"{url}/dashboard")
    page.get_by_text("dcgan", exact=False).first.wait_for()
    page.goto(f"{url}/dashboard/studies/0/note")
    page.get_by_text(re.compile(r"Trial \d+: fid")).first.wait_for()
    assert loaded_images(page) == 1
    page.goto(f"{url}/dashboard/studies/0/trials?numbers=0")
    page.get_by_text(f"gantune train {folder.path}#0").first.wait_for()
    grids = len(folder.trial("trials/0000").grids())
    assert grids and loaded_images(page) >= 1 + grids


def test_the_dashboard_shows_a_real_run(page: Any, searched: RunFolder) -> None:
    command = (sys.executable, "-m", "gantune", "dashboard", str(searched.path), "--port", "0")
    with program(*command) as process:
        assert process.stdout is not None
        note = process.stdout.readline().split()[-1]
        url, _, place = note.partition("/dashboard/")
        assert place == "studies/0/note"
        check_pages(page, url, searched)
        page.goto(note.removesuffix("/note"))
        page.get_by_text("Learning curves").wait_for()
        page.get_by_text("Loss of D").wait_for()
        assert page.locator("[id^='user-defined-plot:'] .main-svg").count() >= 4
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_plain_optuna_dashboard_shows_a_real_run(page: Any, searched: RunFolder) -> None:
    with plain(searched, "--artifact-dir", str(searched.artifacts)) as url:
        check_pages(page, url, searched)


def test_text_of_trainers_is_shown_and_never_runs(page: Any, tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    driver.finish(work.name, Outcome("crashed", 1.0, error=f"ValueError\n{EVIL}"))
    with plain(driver.folder, "--allow-unsafe") as url:
        page.goto(f"{url}/dashboard/studies/0/trials?numbers=0")
        page.get_by_text("document.title='taken'").first.wait_for()
        page.wait_for_timeout(500)
        assert page.title() != "taken"
