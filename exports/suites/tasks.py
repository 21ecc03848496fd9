"""The eight tasks of U2-BENCH (arXiv:2505.17779): data sets, weights and ranges as its kits code them."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["class", "location", "value", "text"]


@dataclass(frozen=True)
class Task:
    """One task; `datasets` are the ids that its score is the plain mean over."""

    name: str
    title: str
    folder: str
    category: str
    kind: Kind
    datasets: tuple[str, ...]
    weight: float


TASKS = {
    task.name: task
    for task in (
        Task(
            "DD",
            "disease diagnosis",
            "disease_diagnosis",
            "cla",
            "class",
            ("21", "23", "25", "28_1", "32", "40", "42", "44", "57", "66", "70", "74is_normal", "75"),
            0.20,
        ),
        Task(
            "VRA",
            "view recognition and assessment",
            "view_recognition_and_assessment",
            "cla",
            "class",
            ("03", "10", "18", "28", "37", "50", "53", "69", "74is_visible", "anatomy"),
            0.20,
        ),
        Task(
            "LL",
            "lesion localisation",
            "lesion_localisation",
            "seg",
            "location",
            ("04", "17", "23", "32", "64"),
            0.07,
        ),
        Task(
            "OD",
            "organ detection",
            "organ_detection",
            "seg",
            "location",
            ("09", "13", "16", "18", "31", "37", "38", "47", "49", "50", "52", "53", "67"),
            0.27,
        ),
        Task("KD", "keypoint detection", "keypoint_detection", "seg", "location", ("48",), 0.07),
        Task(
            "CVE",
            "clinical value estimation",
            "clinical_value_estimation",
            "measurement",
            "value",
            ("18", "27", "50", "57"),
            0.07,
        ),
        Task("RG", "report generation", "report_generation", "report", "text", ("39",), 0.08),
        Task("CG", "caption generation", "caption_generation", "report", "text", ("10", "44"), 0.04),
    )
}
# Least and greatest of each clinical value (EF in %, IMT in mm, AC in mm, fat in %), and its key in the truth.
RANGES = {"18": (10.0, 75.0), "27": (0.3, 1.5), "50": (100.0, 400.0), "57": (0.0, 85.0)}
VALUE_KEYS = {"18": "EF", "27": "IMT", "50": "abdominal_circumference", "57": "fat value"}
CATEGORIES = ("cla", "measurement", "seg", "report")


def dataset_of(task: Task, name: str) -> str | None:
    """The id of a data set within a task, from the name of a file or folder; None where the score knows none.

    >>> dataset_of(TASKS["VRA"], "3_FETAL_Planes_US"), dataset_of(TASKS["DD"], "28_1.Knee")
    ('03', '28_1')
    >>> dataset_of(TASKS["DD"], "74_is_normal"), dataset_of(TASKS["CVE"], "31") is None
    ('74is_normal', True)
    """
    number = _number(name)
    if number is None:
        return next((one for one in task.datasets if name.lower().startswith(one)), None)
    return next((one for one in task.datasets if _number(one) == number), None)


def _number(name: str) -> int | None:
    found = re.match(r"\d+", name)
    return int(found.group()) if found else None


def u2_score(shares: dict[str, float]) -> float:
    """The weighted sum of the tasks' scores, each held within 0..1; all eight must be given.

    Of clinical value estimation it takes 1 - RMSE, of the two text tasks BLEU-4 / 100.

    >>> round(u2_score({"DD": 0.5, "VRA": 0.5, "LL": 0, "OD": 0, "KD": 0, "CVE": 1.4, "RG": 0, "CG": -1}), 4)
    0.27
    """
    return sum(task.weight * min(max(shares[name], 0.0), 1.0) for name, task in TASKS.items())
