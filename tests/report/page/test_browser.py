"""The page in a real browser, opened from disk without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gantune.health import Verdict
from gantune.report.page.comparison import write_comparison
from gantune.report.run import Run
from gantune.trial.records import Outcome
from tests.report.factory import outcome, state, trial
from tests.report.pages import canned_run, make_run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser"),  # one browser for all tests
]

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
_PATIENCE = 60_000  # milliseconds
_ALL_DRAWN = """() => [...document.querySelectorAll("[data-figure]")]
    .every((place) => ["done", "failed"].includes(place.dataset.drawn))"""

_WHOLE = "document.body.dataset.drawn === 'all'"

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens a file; the page's ``errors`` are those of its console."""
    contexts = []

    def opened(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        context.set_default_timeout(_PATIENCE)
        page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.goto(path.resolve().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the canned search."""
    return canned_run(tmp_path_factory.mktemp("run")).report()


def _scroll_to(place: Any) -> None:
    """Scrolls without waiting until nothing moves, which takes long on a busy machine."""
    place.evaluate("element => element.scrollIntoView({block: 'center', behavior: 'instant'})")


def _draw_all(page: Any) -> None:
    """Scrolls past every figure, so that it is drawn."""
    places = page.locator("[data-figure]")
    for number in range(places.count()):
        _scroll_to(places.nth(number))
        page.wait_for_timeout(20)
    page.wait_for_function(_ALL_DRAWN)


def test_every_figure_is_drawn_without_an_error(report: Path, open_page: Open) -> None:
    page = open_page(report)
    _draw_all(page)
    assert page.errors == []
    places = page.locator("[data-figure]")
    assert places.count() >= 9
    drawn = page.eval_on_selector_all(
        "[data-figure]", "all => all.map(one => one.querySelectorAll('.plot-container').length)"
    )
    assert all(count == 1 for count in drawn)
    assert page.locator("[data-figure=parallel] .y-axis").count() >= 4  # none without its trace
    assert page.locator("[data-figure=learning] .scatterlayer .trace").count() >= 3


@pytest.mark.parametrize("width", [390, 900, 1280])
def test_nothing_is_wider_than_the_screen(report: Path, open_page: Open, width: int) -> None:
    page = open_page(report, width)
    _draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_page_that_nobody_scrolls_is_drawn_whole(report: Path, open_page: Open) -> None:
    page = open_page(report)
    page.wait_for_function(_WHOLE)
    assert page.evaluate("scrollY") == 0 and page.errors == []
    assert page.locator("[data-figure]:not(:has(.plot-container))").count() == 0
    walls = "section > .wall img[data-picture], section > div > .wall img[data-picture]"
    assert page.locator(walls).count() >= 4
    assert page.locator(f":is({walls}):not([src])").count() == 0


def test_on_paper_every_figure_is_as_wide_as_its_place(report: Path, open_page: Open) -> None:
    page = open_page(report)
    page.wait_for_function(_WHOLE)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
    sizes = page.eval_on_selector_all(
        "[data-figure]",
        """all => all.map(one => [one.clientWidth, one.clientHeight,
            ...["width", "height"].map(side =>
                (one.querySelector(".paper") ?? one.querySelector("svg.main-svg"))
                .getBoundingClientRect()[side])])""",
    )
    for width, height, drawn_width, drawn_height in sizes:
        assert drawn_width <= width + 1 and 0 < drawn_height <= height + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


def test_a_table_that_is_wider_than_the_screen_says_so(report: Path, open_page: Open) -> None:
    page = open_page(report, 390)
    assert page.locator("#trials .hint").is_visible()
    assert page.locator("#trials .scroll.more").count() == 1
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function("document.querySelector('#leaderboard .hint').hidden")
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function("document.querySelector('#trials .scroll.more')")
    page.eval_on_selector("#trials .scroll", "place => { place.scrollLeft = 1e6; }")
    page.wait_for_function("!document.querySelector('#trials .scroll.more')")


def test_the_table_sorts_by_a_click_on_its_head(report: Path, open_page: Open) -> None:
    page = open_page(report)
    head = page.locator("#trials-table th button", has_text="score")

    def order() -> list[str]:
        found: list[str] = page.eval_on_selector_all(
            "#trials-table tbody tr", "rows => rows.map(row => row.dataset.trial.slice(-2))"
        )
        return found

    head.click()
    assert order()[:3] == ["03", "04", "00"]
    assert page.locator("#trials-table th[aria-sort=ascending]").inner_text().strip() == "score"
    head.click()
    assert order()[:3] == ["00", "04", "03"]  # trials without a score stay last
    page.locator("#trials-table th button", has_text="G lr").click()
    assert order()[:2] == ["00", "01"] and order()[-1] == "11"


def test_the_table_filters_by_text_and_outcome(report: Path, open_page: Open) -> None:
    page = open_page(report)
    rows = page.locator("#trials-table tbody tr:visible")
    page.fill("#filter", "wgan collapsed")
    assert rows.count() == 1 and page.inner_text("#shown") == "1 of 12 trials"
    page.fill("#filter", "")
    page.click(".chip[data-ending=pruned]")
    assert rows.count() == 10
    page.click(".chip[data-ending=pruned]")
    assert rows.count() == 12 and page.inner_text("#shown") == "12 trials"


def test_a_row_opens_its_evidence_config_and_samples(report: Path, open_page: Open) -> None:
    page = open_page(report)
    page.locator("#trials-table tbody tr[data-trial='trials/0007']").click()
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    assert dialog.locator("h2").inner_text() == "trial 7"
    assert "stillborn: it stalled" in dialog.inner_text()
    assert dialog.locator(".command code").inner_text().startswith("gantune stabilize ")
    assert dialog.locator(".film img").get_attribute("src").startswith("data:image/webp")
    dialog.locator("summary", has_text="the whole config").click()
    assert "# of trials/0007" in dialog.inner_text()
    dialog.locator(".plot .plot-container").wait_for()
    before = dialog.locator(".film img").get_attribute("src")
    dialog.locator("input[type=range]").fill("0")
    assert dialog.locator(".film figcaption, figcaption").first.inner_text() == "samples at 10 kimg"
    assert dialog.locator(".film img").get_attribute("src") is not None and before
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.errors == []


def test_a_click_on_a_point_of_the_map_opens_its_trial(report: Path, open_page: Open) -> None:
    page = open_page(report)
    _draw_all(page)
    place = page.locator("[data-figure^=map]").first
    _scroll_to(place)
    point = place.locator(".scatterlayer .points path").first
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("dialog[open] h2").wait_for()
    assert page.locator("dialog[open] h2").inner_text().startswith("trial ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_figures_are_legible_in_light_and_dark(
    report: Path, open_page: Open, scheme: str
) -> None:
    page = open_page(report, scheme=scheme)
    _draw_all(page)
    contrast = """(selector) => {
        const light = (colour) => {
            const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
                const share = part / 255;
                return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const place = document.querySelector(selector);
        const style = getComputedStyle(place);
        const colour = place instanceof SVGElement ? style.fill : style.color;
        let back = place.closest("section");
        const [a, b] = [light(colour), light(getComputedStyle(back).backgroundColor)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }"""
    texts = ("h2", ".note", ".lead", "#trials-table td", ".big", "#trials-table .why div")
    figures = ("[data-figure=budget] .xtick text", "[data-figure=parallel] .axis-title")
    for selector in (*texts, *figures):  # WCAG's AA for text
        assert page.evaluate(contrast, selector) >= 4.5, selector
    is_dark = (
        page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(246, 247, 249)"
    )
    assert is_dark == (scheme == "dark")


def test_figures_follow_when_the_light_changes(report: Path, open_page: Open) -> None:
    page = open_page(report)
    _draw_all(page)
    colour = "document.querySelector('[data-figure=budget] .xtick text').style.fill"
    before = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{colour} !== '{before}'")
    assert page.errors == []


def test_scripts_in_texts_from_users_never_run(tmp_path: Path, open_page: Open) -> None:
    crashed = Outcome("crashed", 3.0, error=f"Traceback\nValueError: {EVIL}")
    stopped = Outcome("diverged", 3.0, verdict=Verdict("diverged", "exploding", 3.0, EVIL))
    trials = [
        trial(0, outcome("completed", value=9.0), params={EVIL: EVIL, "generator.lr": 1e-3}),
        trial(1, crashed, params={EVIL: "b", "generator.lr": 2e-3}),
        trial(2, stopped, params={EVIL: "c", "generator.lr": 3e-3}),
    ]
    run = make_run(tmp_path / EVIL.replace("/", ""), trials, study=EVIL, winner=None, ranking=())
    run.folder.trial("trials/0000").config.write_text(EVIL)
    page = open_page(run.report(tmp_path / "report.html"))
    _draw_all(page)
    for number in range(3):
        page.locator("#trials-table tbody tr").nth(number).locator(".trial").click()
        page.locator("dialog[open]").wait_for()
        page.locator("dialog .plot .plot-container").wait_for()
        page.keyboard.press("Escape")
    place = page.locator("[data-figure=signal-0]")
    _scroll_to(place)
    box = place.bounding_box()
    for share in range(1, 20):  # hover boxes show the verdict too
        page.mouse.move(box["x"] + box["width"] * share / 20, box["y"] + box["height"] / 2)
    assert page.title().startswith("<script>") and page.errors == []
    assert page.locator("h1").inner_text() == EVIL
    assert page.locator("script:not([id])").count() == 2  # the page's own, and plotly's
    assert page.locator("img[onerror], img[src=x]").count() == 0


def test_pages_of_searches_with_little_in_them_have_no_errors(
    tmp_path: Path, open_page: Open
) -> None:
    runs = [
        make_run(tmp_path / "none", [], is_over=False),
        make_run(tmp_path / "one", [trial(0, outcome("completed", value=9.0))]),
        make_run(tmp_path / "dead", [trial(k, outcome("collapsed", 6.0)) for k in range(4)]),
        Run(state([trial(0), trial(1)], folder=tmp_path / "begun", is_over=False)),
    ]
    for run in runs:
        page = open_page(run.report(tmp_path / "report.html"), 390)
        _draw_all(page)
        assert page.errors == [] and page.locator("[data-drawn=failed]").count() == 0
        assert page.locator("#answer .first").count() >= 1


def test_a_comparison_is_drawn(tmp_path: Path, open_page: Open) -> None:
    runs = [canned_run(tmp_path / name) for name in ("one", "other")]
    write_comparison(runs, tmp_path / "comparison.html")
    page = open_page(tmp_path / "comparison.html")
    _draw_all(page)
    assert page.errors == [] and page.locator("[data-drawn=done]").count() == 2
    assert "A tie: other and one cannot be told apart" in page.inner_text("#answer")
