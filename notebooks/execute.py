"""Runs the notebooks in an empty folder and saves their outputs.

    python notebooks/execute.py [1_first_search.ipynb ...]

Figures are saved in plotly's format, which notebooks draw. If there is a Chromium, they are also
saved as PNG, for pages that show notebooks without running anything.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))

_PLOTLY = "application/vnd.plotly.v1+json"
_WIDTH = 900  # pixels of a picture
_KERNEL = {"PLOTLY_RENDERER": "plotly_mimetype", "PYTHONWARNINGS": "ignore:IProgress not found"}
"""The kernel's environment: figures without plotly.js, no advice to install widgets."""
_DRAW = """async ([figure, width]) => {
    const size = {width, height: figure.layout.height || 450, scale: 1};
    const picture = await Plotly.toImage(figure, {format: "png", ...size});
    return picture.split(",")[1];
}"""


def execute(path: Path, folder: Path, changes: Mapping[str, str] | None = None) -> NotebookNode:
    """The notebook with its outputs, run in ``folder``.

    ``changes``: replacements in the code that is run; the cells keep their own code. Raises
    nbclient's ``CellExecutionError`` if a cell fails.
    """
    book = nbformat.read(path, as_version=4)
    run = nbformat.from_dict(book)
    for cell in run.cells:
        for text, instead in (changes or {}).items():
            cell.source = cell.source.replace(text, instead)
    os.environ |= _KERNEL
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(run, timeout=900, kernel_name="python3", resources=resources).execute()
    for cell, done in zip(book.cells, run.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
    return book


def figures(book: NotebookNode) -> list[dict[str, Any]]:
    """The figures of a notebook, each a mapping from format to content."""
    outputs = (out for cell in book.cells for out in cell.get("outputs", []))
    return [out.data for out in outputs if _PLOTLY in out.get("data", {})]


def draw(book: NotebookNode) -> None:
    """Adds a picture to every figure, if there is a Chromium to draw it."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        print("no Chromium: figures are saved without pictures")
        return
    from playwright.sync_api import sync_playwright
    from plotly.offline import get_plotlyjs

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        page = browser.new_page()
        page.add_script_tag(content=get_plotlyjs())
        for data in figures(book):
            figure = {name: data[_PLOTLY][name] for name in ("data", "layout")}
            data["image/png"] = page.evaluate(_DRAW, [figure, _WIDTH])
            base64.b64decode(data["image/png"], validate=True)
        browser.close()


def main(names: list[str]) -> None:
    """Runs the notebooks with these names, or all, and writes them."""
    for path in [HERE / name for name in names] or NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            book = execute(path, Path(folder))
        draw(book)
        nbformat.write(book, path)
        print(f"wrote {path.name}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
