"""The comparison as one page that needs nothing else: no script, no network, pictures inside it."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exports.benchmark import wording
from exports.benchmark.document import SECONDS, USABLE

Document = dict[str, Any]
_WIDE = 240.0


def render(document: Document, images: list[Document]) -> str:
    """Return the page; everything that a model or a file name says is escaped by the template's autoescape."""
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
        secs=wording.seconds,
        p=wording.p_value,
        mem=wording.memory,
        sign=_signed,
    )
    environment.globals.update(counted=wording.counted)
    return environment.get_template("benchmark.html.j2").render(
        d=document,
        images=images,
        leading=_leading(document),
        forests=[_forest(one) for one in document["differences"]],
        changes=[_forest(one) for one in document["wordings"]],
        main=[one for one in document["metrics"] if not is_detail(one)],
        detailed=[one for one in document["metrics"] if is_detail(one)],
        USABLE=USABLE,
    )


def _leading(document: Document) -> list[str]:
    """The few metrics of the summary: the first ones that most runs have, after the share of usable answers."""
    metrics = [one for one in document["metrics"] if one["name"] != USABLE and not is_detail(one)]
    full = sorted(metrics, key=lambda one: sum(cell is None for cell in one["cells"]))
    chosen = {one["name"] for one in full[:4]}
    return [one["name"] for one in metrics if one["name"] in chosen]


def is_detail(metric: Document) -> bool:
    """Whether a metric is one of the evaluation's many, which are shown on request."""
    return str(metric["name"]).startswith("findings: ")


def _forest(difference: Document) -> Document:
    """Rows with the places of point and interval on a common scale, -1..1 of the widest; seconds have their own."""
    rows = []
    figures = difference["figures"]
    ends = [abs(end) for name, one in figures.items() if name != SECONDS for end in one.get("ci95", [one["value"]])]
    widest = max([*ends, 0.05])
    for name, one in figures.items():
        low, high = one.get("ci95", [one["value"]] * 2)
        scale = max(abs(low), abs(high), 1e-9) if name == SECONDS else widest
        places = [_WIDE / 2 * (1 + end / scale * 0.94) for end in (low, one["value"], high)]
        rows.append({"name": name, "figure": one, "places": [round(place, 1) for place in places]})
    return {**difference, "rows": rows, "width": _WIDE, "widest": widest}


def _signed(value: float | None, digits: int = 3) -> str:
    """A change with its sign.

    >>> _signed(0.25), _signed(-0.25)
    ('+0.250', '−0.250')
    """
    return f"+{wording.number(value, digits)}" if value is not None and value > 0 else wording.number(value, digits)
