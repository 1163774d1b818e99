"""Results as files, and in the page between their markers."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.publish import PAGE, RESULTS, Report, between, table

CPU = torch.device("cpu")


def test_a_table_aligns_numbers_to_the_right() -> None:
    assert (
        table(("loss", ">fid"), [("hinge", "1.5")])
        == "| loss | fid |\n| :-- | --: |\n| hinge | 1.5 |"
    )


def test_only_the_text_between_a_names_markers_is_changed() -> None:
    page = "a\n<!-- x_cpu -->\nold\n<!-- end -->\nb\n<!-- y_cpu -->\n<!-- end -->\nc\n"
    once = between(page, "x_cpu", r"new \1")
    assert once == page.replace("old\n", "new \\1\n")
    assert between(once, "x_cpu", "old") == page
    assert between(page, "y_cpu", "new").endswith("<!-- y_cpu -->\nnew\n<!-- end -->\nc\n")
    assert between(page, "x", "new") == page


def test_a_report_can_be_read_and_is_in_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- some_cpu -->\n<!-- end -->\n")
    report = Report("some", CPU, tmp_path / "results", page)
    assert report.read() == {}
    report.write({"rows": [1]}, "Some", "| a |")
    assert Report("some", CPU, tmp_path / "results", page).read() == {"rows": [1]}
    assert (tmp_path / "results" / "some_cpu.md").read_text() == "# Some\n\n| a |\n"
    assert page.read_text() == "<!-- some_cpu -->\n| a |\n<!-- end -->\n"


def test_a_gpu_has_its_own_files(tmp_path: Path) -> None:
    report = Report("some", torch.device("cuda:0"), tmp_path, tmp_path / "none.md")
    report.write({}, "Some", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["some_gpu.json", "some_gpu.md"]


def test_the_modes_are_in_the_page() -> None:
    """Its sentences lean on them."""
    page = PAGE.read_text(encoding="utf-8")
    text = (RESULTS / "gaussians_cpu.md").read_text(encoding="utf-8").partition("\n\n")[2].strip()
    assert "| :-- |" in text
    assert between(page, "gaussians_cpu", text) == page


def test_the_page_has_a_place_for_every_benchmark() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in ("recipes_cpu", "gaussians_cpu", "gan_landscape_cpu", "gan_landscape_gpu"):
        assert between(page, name, "text of this test") != page, name
