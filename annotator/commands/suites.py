"""`evaluate --suite`: answers to a benchmark of the field, scored by its published formula."""

from pathlib import Path
from typing import TYPE_CHECKING

from annotator.cli import Result

if TYPE_CHECKING:
    from exports.suites import Suite


def evaluate_suite(
    workspace: Path, name: str, data: Path, predictions: Path, *, bertscore: Path | None = None
) -> Result:
    """Score the answers at `predictions` to the suite downloaded to `data`; `bertscore` is an encoder's folder."""
    suite = _opened(name, data, bertscore)
    document = suite.score(suite.answers_in(predictions))
    return Result(document, suite.as_text(document))


def _opened(name: str, data: Path, bertscore: Path | None) -> "Suite":
    from exports.suites import open_suite

    if name == "u2-bench" and bertscore is not None:
        from backends.scorers.text import BertScore, Encoder
        from exports.suites.u2_bench import U2Bench

        return U2Bench(data, BertScore(Encoder(bertscore), bertscore.name).score)
    return open_suite(name, data)
