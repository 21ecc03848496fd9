"""The page: what the template is given. Everything from outside is escaped by the template's autoescape."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from review.analysis.effort import EFFORTS
from review.analysis.grades import first_gradable
from review.report import plots, wording
from review.report.methods import methods_paragraphs, reading_notes
from review.report.plots import Dot
from review.scores_table import ScoresTable

Document = dict[str, Any]
COEFFICIENTS = (
    ("AC2, quadratic", "quadratic"),
    ("AC2, ordinal", "ordinal"),
    ("AC2, linear", "linear"),
    ("AC2, identity", "identity"),
)


def render(document: Document, table: ScoresTable, title: str) -> str:
    """Return the whole page as one HTML document."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        num=wording.number,
        ci=wording.interval,
        val=wording.with_interval,
        pct=wording.percent,
        p=wording.p_value,
        holm=wording.p_and_holm,
        joined=wording.joined,
    )
    environment.globals.update(counted=wording.counted)
    return environment.get_template("report.html.j2").render(
        title=title,
        d=document,
        cards=wording.key_figures(document),
        methods=methods_paragraphs(document),
        reading=reading_notes(document),
        plots={name: Markup(svg) for name, svg in _plots(document, table).items()},  # noqa: S704 - our own SVG
        has_several_versions=len(document["data"]["versions"]) > 1,
        has_repeats=bool(document["within_readers"]["cells"]),
        matrices=[_matrix(cell) for cell in _over_versions(document)],
        total_columns=table.columns,
    )


def _plots(document: Document, table: ScoresTable) -> dict[str, str]:
    return {
        "shares": plots.stacked_grades("shares", document["grades"]),
        "means": _means(document),
        "versions": _differences(document),
        "modes": _modes(document),
        "agreement": _agreement(document),
        "readers": _readers(document),
        "factors": _factors(document),
        "position": _position(document),
        "effort": plots.effort_boxes("effort", _efforts(table)),
    }


def _means(document: Document) -> str:
    dots = [Dot(cell["dimension"], cell["version"], cell["mode"], cell["mean"]) for cell in document["grades"]]
    dots += [Dot("overall", cell["version"], cell["mode"], cell["mean"]) for cell in document["overall"]]
    return plots.dot_plot("means", dots, "mean grade (1 is best)")


def _differences(document: Document) -> str:
    several = len({pair["mode"] for pair in document["versions"]["pairs"]}) > 1
    dots = [
        Dot(
            pair["dimension"],
            f"{pair['first']} {wording.MINUS} {pair['second']}",
            pair["mode"] if several else "",
            pair["mean_difference"],
        )
        for pair in document["versions"]["pairs"]
        if "mean_difference" in pair
    ]
    return plots.dot_plot("versions", dots, "difference of mean grades", reference=0.0)


def _modes(document: Document) -> str:
    dots = [
        Dot(pair["dimension"], pair["version"], "", pair["mean_difference"])
        for pair in document["modes"]["pairs"]
        if "mean_difference" in pair
    ]
    return plots.dot_plot("modes", dots, "difference of mean grades", reference=0.0)


def _over_versions(document: Document) -> list[dict[str, Any]]:
    return [cell for cell in document["between_readers"]["cells"] if cell["version"] == "all" and "ac2" in cell]


def _matrix(cell: dict[str, Any]) -> dict[str, Any]:
    """How often pairs of readers gave which two grades, in percent of pairs, and how dark to paint that."""
    total = sum(map(sum, cell["matrix"]))
    percents = [[100 * count / total for count in row] for row in cell["matrix"]]
    return {"title": f"{cell['dimension']}, {cell['mode']}", "percents": percents, "most": max(map(max, percents))}


def _agreement(document: Document) -> str:
    dots: list[Dot] = []
    cells = _over_versions(document)
    for cell in cells:
        group = cell["mode"]
        kappas = [(f"kappa {pair['first']}, {pair['second']}", pair["kappa"]) for pair in cell["kappa_quadratic"]]
        found = [("raw agreement", cell["raw"]), ("alpha, ordinal", cell["alpha_ordinal"])]
        found += [(label, cell["ac2"][weighting]) for label, weighting in COEFFICIENTS]
        dots += [Dot(cell["dimension"], label, group, figure) for label, figure in [*found, *kappas]]
    return plots.dot_plot("agreement", dots, "coefficient (1 is full agreement)")


def _readers(document: Document) -> str:
    if len(document["data"]["readers"]) < 2:
        return ""
    dots = [Dot(cell["dimension"], cell["reader"], cell["mode"], cell["mean"]) for cell in document["by_reader"]]
    return plots.dot_plot("readers", dots, "mean grade (1 is best)")


def _factors(document: Document) -> str:
    dots: list[Dot] = []
    for name, cells in document["by_factor"].items():
        if len({cell[name] for cell in cells}) > 1:
            dots.append(Dot("", name.capitalize()))
            dots += [Dot(cell["dimension"], f"{cell[name]} ", cell["mode"], cell["mean"]) for cell in cells]
    return plots.dot_plot("factors", dots, "mean grade (1 is best)")


def _position(document: Document) -> str:
    dots = [
        Dot(cell["dimension"], third["part"], cell["mode"], third["mean"])
        for cell in document["position"]
        for third in cell["thirds"]
    ]
    return plots.dot_plot("position", dots, "mean grade (1 is best)")


def _efforts(table: ScoresTable) -> list[tuple[str, dict[int, list[float]]]]:
    rows = first_gradable(table)
    panels = []
    for name, label in EFFORTS.items():
        known = rows[rows[name].notna()]
        grouped: dict[int, list[float]] = defaultdict(list)
        for grade, value in zip(known["grade"], known[name], strict=True):
            grouped[int(grade)].append(float(value))
        if grouped:
            panels.append((label, dict(grouped)))
    return panels
