import html
import json
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from annotator.commands.study_report import report_scores
from annotator.errors import InputError
from review.report import Report, write_report
from review.report.wording import interval, number, with_interval
from review.scores_table import read_scores, table_from_rows
from tests.builders import require
from tests.review.scores import a_row, published_guided, simulated_study, write_csv

WIDER_THAN_THE_WINDOW = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
HEADINGS = (
    "Summary",
    "Data",
    "Methods",
    "Grades",
    "Versions compared on the same frames",
    "Autonomous against guided on the same frames",
    "Agreement between readers",
    "By plane, site and scanner",
    "Time, edit effort and order",
    "What the study could see",
)
WORDS = ("Wilcoxon", "McNemar", "Holm", "Hodges-Lehmann", "AC2", "Krippendorff", "BCa", "20260101", "scipy")
HOSTILE = "<script>alert(1)</script>{{ 7*7 }}$x^$\"'&"


class Page(HTMLParser):
    """Collects tags, attributes and visible text; notes tags that are not closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.crossed: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return write_report(table_from_rows(simulated_study()), tmp_path_factory.mktemp("report"), title="A study")


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report.page.read_text())


def test_the_page_is_sound_and_needs_nothing_from_elsewhere(report: Report, page: Page) -> None:
    text = report.page.read_text()
    assert page.crossed == []
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    fetched = [value for name, value in page.attributes if name in ("src", "href", "xlink:href") and value]
    assert all(value.startswith("#") for value in fetched)
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(page.ids) == len(set(page.ids))
    assert {value[1:] for value in fetched} <= set(page.ids)


def test_it_answers_what_a_referee_asks_and_says_what_it_is_not_for(page: Page) -> None:
    for heading in HEADINGS:
        assert heading in page.text
    assert page.text.count("Not for clinical use.") == 2
    for word in WORDS:
        assert word in page.text


def test_tables_and_figures_are_numbered_without_gaps(page: Page) -> None:
    for kind in ("Table", "Figure"):
        numbers = [int(found) for found in re.findall(rf"{kind} (\d+)\.", page.text)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 8


def test_the_page_shows_the_figures_of_the_document(report: Report, page: Page) -> None:
    cell = report.document["grades"][0]
    assert with_interval(cell["mean"], 3) in page.text
    assert with_interval(report.document["between_readers"]["cells"][0]["ac2"]["linear"]) in page.text
    assert json.loads(report.figures.read_text()) == report.document


def test_plots_are_drawings_with_a_spoken_name_and_sound_xml(report: Report) -> None:
    drawings = re.findall(r"<svg.*?</svg>", report.page.read_text(), flags=re.DOTALL)
    assert len(drawings) >= 8
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root.get("width") is None


def test_the_same_scores_give_the_same_bytes(report: Report, tmp_path: Path) -> None:
    again = write_report(read_scores(report.data), tmp_path, title="A study")
    for first, second in (
        (report.data, again.data),
        (report.codebook, again.codebook),
        (report.figures, again.figures),
        (report.page, again.page),
    ):
        assert first.read_bytes() == second.read_bytes()


def test_names_with_markup_and_template_code_are_only_text(tmp_path: Path) -> None:
    rows = [
        {**row, **{name: f"{row[name]}{HOSTILE}" for name in ("case", "site", "plane", "reader", "version")}}
        for row in simulated_study(6, readers=("anna", "bo"), versions=("v1", "v2"))
    ]
    rows[0]["comment"] = HOSTILE * 2000
    found = write_report(table_from_rows(rows), tmp_path, title=HOSTILE)
    text = found.page.read_text()
    hostile = Page(text)
    assert "script" not in hostile.tags
    assert "{{ 7*7 }}" in hostile.text
    assert html.escape(HOSTILE, quote=False) in text.replace("&#34;", '"').replace("&#39;", "'")
    assert len(text) < 1_000_000


@pytest.mark.parametrize("rows", [published_guided(), [a_row(f"c{k}", "NG") for k in range(3)], [a_row()]])
def test_small_studies_have_a_page_that_says_what_is_lacking(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    found = Page(write_report(table_from_rows(rows), tmp_path).page.read_text())
    assert "no agreement between readers can be computed" in found.text
    assert "nothing to compare" in found.text
    assert found.crossed == []


def test_the_command_reports_a_csv_without_a_workspace(tmp_path: Path) -> None:
    scores = write_csv(tmp_path / "guided.csv", published_guided())
    result = report_scores(tmp_path / "workspace", scores, None, None)
    assert result.exit_code == 0
    assert "1.37 (1.23–1.54)" in result.text
    assert "no agreement between readers can be computed" in result.text
    assert json.loads(json.dumps(result.document))["grades"][0]["mean"]["value"] == pytest.approx(1.2857, abs=1e-4)
    assert all(Path(path).is_file() for path in result.document["files"].values())
    assert not (tmp_path / "workspace" / "annotator.db").exists()


def test_the_command_asks_for_scores(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--scores FILE"):
        report_scores(tmp_path, None, None, None)


def test_ten_thousand_grades_are_reported_in_seconds(tmp_path: Path) -> None:
    table = table_from_rows(simulated_study(600, guided=True))
    assert len(table.rows) > 10_000
    begun = time.process_time()
    write_report(table, tmp_path)
    assert time.process_time() - begun < 20  # about 5 s on an idle machine


def test_reading_scores_loads_no_plotting_library() -> None:
    heavy = ("matplotlib", "statsmodels", "jinja2")
    code = f"import sys, review.scores_table; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ({"value": 1.2857, "ci95": [1.163, 1.449]}, "1.29 (1.16–1.45)"),
        ({"value": -0.1, "ci95": [-0.2, 0.001]}, "−0.10 (−0.20 to 0.00)"),
        ({"value": 2.0, "ci95": None}, "2.00"),
        ({"value": None, "ci95": None}, "–"),
    ],
)
def test_figures_are_printed_as_journals_do(figure: dict[str, Any], text: str) -> None:
    assert with_interval(figure) == text
    assert number(-0.0001) == "0.00"
    assert interval({}) == "–"


@pytest.mark.browser
def test_the_page_fits_a_browser_without_an_error(report: Report, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser import FLAGS

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(chromium is not None, "Chromium: install your system's package 'chromium'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        complaints: list[str] = []
        opened.on("console", lambda message: complaints.append(message.text))
        opened.goto(report.page.as_uri())
        too_wide = opened.evaluate(WIDER_THAN_THE_WINDOW)
        drawn = opened.evaluate(
            "[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().height > 60)"
        )
        opened.set_viewport_size({"width": 390, "height": 800})
        too_wide_on_a_phone = opened.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        browser.close()
    assert complaints == []
    assert not too_wide
    assert not too_wide_on_a_phone
    assert drawn
