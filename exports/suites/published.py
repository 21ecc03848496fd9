"""Published figures that our rows are printed beside, each with its source; nothing here was measured by us."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PublishedRow:
    """One row; `tasks` as printed (for CVE the RMSE), without what was not; `score` in 0..1."""

    name: str
    score: float | None
    source: str
    tasks: dict[str, float] = field(default_factory=dict)


_U2_TABLE = "results table of the suite's second kit (gurenolun/Dolphin-ai-bench)"
_U2_ABSTRACT = "arXiv:2505.17779 and its leaderboard"
RANDOM = PublishedRow(
    "random guessing",
    0.2125,
    _U2_TABLE,
    {"DD": 0.4143, "VRA": 0.3195, "LL": 0.1118, "OD": 0.0680, "KD": 0.1120, "CVE": 0.5472},
)
U2_BENCH = (
    PublishedRow("Dolphin R1", 0.5835, _U2_ABSTRACT),
    PublishedRow("second best (unnamed)", 0.2968, _U2_ABSTRACT),
    RANDOM,
)
FETAL_GAUGE = (PublishedRow("best of 15 models (GPT-5), about", 0.55, "abstract of arXiv:2512.22278"),)
