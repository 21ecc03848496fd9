"""U2-BENCH in small: files of the published form, and predictions of both kits' forms."""

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from exports.suites.tasks import TASKS

HEADER = (
    *("dataset_name", "img_data", "patient_id", "prompt", "anatomy_location", "demographic", "classification_task"),
    *("class_label", "options", "seg_data", "seg_channel_name", "gt_bbox", "keypoints", "measurement"),
    *("caption", "report", "notes"),
)
EXPLAINS = {name: f"what {name} means: text" for name in HEADER}
# For each task a data set, the column of its truths, and three truths.
SMALL: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "DD": ("21", "class_label", ("benign", "malignant", "benign")),
    "VRA": ("10", "class_label", ("['Cephalic']", "Breech", "breech")),
    "LL": ("04", "gt_bbox", ("{'nodule': [0.2, 0.3, 0.1, 0.1]}", "[{'nodule': [0.5, 0.5, 0.2, 0.2]}]", "")),
    "OD": ("09", "gt_bbox", ("{'heart': [0.7, 0.5, 0.1, 0.1]}",) * 3),
    "KD": ("48", "keypoints", ("{'tip': [0.1, 0.9]}",) * 3),
    "CVE": ("18", "measurement", ("{'EF': 36}", "{'EF': 62}", "{'EF': 23}")),
    "RG": ("39", "report", ("The liver is of normal size and shape",) * 3),
    "CG": ("44", "caption", ("A line in the right lung field",) * 3),
}
PERFECT: dict[str, Sequence[str]] = {
    "DD": ("benign", "malignant", "benign"),
    "VRA": ("cephalic", "breech", "breech"),
    "LL": ("upper left", "center", "not visible"),
    "OD": ("middle right",) * 3,
    "KD": ("lower left",) * 3,
    "CVE": ("36", "62", "23"),
    "RG": ("The liver is of normal size and shape",) * 3,
    "CG": ("A line in the right lung field",) * 3,
}


def an_image(shade: int = 0) -> str:
    stream = io.BytesIO()
    Image.new("L", (20, 16), shade).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode()


def write_table(
    path: Path, rows: Sequence[Mapping[str, str]], header: Sequence[str] = HEADER, *, explained: bool = True
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, header, delimiter="\t", restval="", lineterminator="\n")
        writer.writeheader()
        if explained:
            writer.writerow({name: EXPLAINS.get(name, "text") for name in header})
        writer.writerows(rows)


def a_row(number: int, **values: str) -> dict[str, str]:
    known = {
        "dataset_name": "data",
        "img_data": an_image(number),
        "patient_id": f"p{number // 2}",
        "prompt": "What is it?",
    }
    return known | values


def small_suite(folder: Path, **changed: Sequence[str]) -> Path:
    """All eight tasks, one data set of three rows each; `changed` replaces a task's truths."""
    for name, (dataset, column, truths) in SMALL.items():
        rows = [a_row(number, **{column: truth}) for number, truth in enumerate(changed.get(name, truths))]
        write_table(folder / TASKS[name].folder / f"{dataset}.tsv", rows)
    return folder


def write_answers(folder: Path, name: str, answers: Sequence[str], model: str = "a-model") -> Path:
    """JSON lines as the first kit writes them."""
    dataset = SMALL[name][0]
    path = folder / TASKS[name].category / dataset / model / "multimodal_test_results_20250514_18.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"text_content": "What is it?", "category": TASKS[name].category, "model": model}
    lines = [{"id": str(number), "response": answer, **about} for number, answer in enumerate(answers)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def all_answers(folder: Path, **changed: Sequence[str]) -> Path:
    for name, answers in PERFECT.items():
        write_answers(folder, name, changed.get(name, answers))
    return folder


def as_mapping(**changed: Sequence[str]) -> dict[str, str]:
    """Answers by the suite's own ids."""
    found = {}
    for name, answers in (PERFECT | changed).items():
        found |= {f"{name.lower()}/{SMALL[name][0]}/{n}": answer for n, answer in enumerate(answers)}
    return found
