"""Files of written answers for tests."""

import json
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from annotator.taxonomy import INTERPRETATION_FIELDS
from exports.answers import Answer

STRUCTURES = ("heart", "liver", "stomach", "spine", "cerebellum", "CSP", "femur", "placenta", "cisterna magna")
SERVER_ERROR = "ERROR: 500 Server Error: Internal Server Error for url: http://127.0.0.1:8000/v1/chat/completions"


def an_answer(answer: str = "heart", expected: str | None = None, **more: Any) -> Answer:
    more.setdefault("image", "a.png")
    more.setdefault("question", "anatomical_structures")
    return Answer(answer=answer, expected=expected, characters=len(answer), **more)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def a_reference(field: str, chance: random.Random) -> str:
    return {
        "anatomical_structures": ", ".join(chance.sample(STRUCTURES, 4)),
        "fetal_orientation": chance.choice(["cephalic", "breech"]),
        "imaging_plane": chance.choice(["Trans-thalamic", "Trans-cerebellum", "four-chamber view"]),
        "biometric_measurements": f"BPD {chance.randint(30, 90)} mm",
        "gestational_age": f"{chance.randint(12, 38)} weeks",
        "image_quality": chance.choice(["good", "medium", "low"]),
        "normality_assessment": "abnormal: ventriculomegaly" if chance.random() < 0.05 else "normal",
        "clinical_recommendations": f"See the {chance.choice(STRUCTURES)} again in {chance.randint(1, 9)} weeks",
    }[field]


def write_interpretations(
    path: Path, images: int, say: Callable[[str, str, random.Random], str], *, seed: int = 0
) -> Path:
    """Eight answers an image; `say(field, reference, chance)` is the model. Two images a subject."""
    chance, model = random.Random(seed), random.Random(seed + 1)
    rows = []
    for image in range(images):
        for field in INTERPRETATION_FIELDS:
            truth = a_reference(field, chance)
            said = {"answer": say(field, truth, model), "expected": truth, "subject": f"s{image // 2}"}
            rows.append({"image": f"{image:05}.png", "field": field, **said})
    return write_rows(path, rows)
