"""Metrics that need weights, and the captioning study's averages: there when all parts are, else null and why."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

BERTSCORE_RECALL = "BERTScore recall, idf"
BERTSCORE_F1 = "BERTScore F1"

RELEVANCE_PARTS = ("MedImageInsight image-text similarity", BERTSCORE_RECALL, "ROUGE-1 F", "BLEURT-20")
FACTUALITY_PARTS = ("UMLS concept F1", "AlignScore")

# Why a metric of the study is not there. It is never given under its name by other means.
ABSENT: dict[str, str] = {
    BERTSCORE_F1: "needs an encoder: --bertscore FOLDER (the tracker: roberta-large)",
    BERTSCORE_RECALL: "needs an encoder: --bertscore FOLDER (the study: deberta-xlarge-mnli)",
    "BLEURT-20": "its checkpoint cannot be shipped: --bleurt FOLDER",
    "UMLS concept F1": "needs a MedCAT model and a UMLS licence; 'lexicon concept F1' is ours and no stand-in",
    "AlignScore": "its checkpoint cannot be shipped: --alignscore FOLDER",
    "MedImageInsight image-text similarity": "its checkpoint cannot be shipped, and runs its own code",
    "image-text cosine": "needs a CLIP-like model: --image-text FOLDER, and --images FOLDER",
    "sentence cosine": "needs a sentence model: --sentence-model packaged, or a folder",
}


class TextScorer(Protocol):
    """A metric that loads weights. `name` is the metric and the model, `metric` the plain one, as in `ABSENT`."""

    name: str
    metric: str
    judges_by: str

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return a score for each (answer, reference or name of the image, whichever it judges by)."""
        ...


def study_averages(parts: Mapping[str, float | None]) -> dict[str, Any]:
    """Relevance = mean of its four parts, factuality = mean of its two, overall = mean of the two averages.

    A part is found by the plain name of its metric. Where one is missing, the average is None beside a reason.

    >>> study_averages({"UMLS concept F1": 0.154, "AlignScore": 0.081})["factuality"]
    {'value': 0.1175}
    """
    relevance, factuality = _average(parts, RELEVANCE_PARTS), _average(parts, FACTUALITY_PARTS)
    both = {"relevance": relevance["value"], "factuality": factuality["value"]}
    return {
        "relevance": relevance,
        "factuality": factuality,
        "overall": _average(both, ("relevance", "factuality")),
    }


def _average(parts: Mapping[str, float | None], names: Sequence[str]) -> dict[str, Any]:
    values = {name: parts.get(name) for name in names}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        return {"value": None, "reason": f"without {', '.join(missing)}"}
    return {"value": sum(value for value in values.values() if value is not None) / len(names)}
