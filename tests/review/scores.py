"""Rows of scores with defaults, and a simulated study."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HEADER = "case,reader,mode,version,dimension,grade"


def a_row(case: str = "c1", grade: object = 1, **more: Any) -> dict[str, Any]:
    row = {"case": case, "reader": "anna", "mode": "autonomous", "version": "v1", "dimension": "annotation"}
    return {**row, "grade": grade, **more}


def rows_of(counts: Sequence[int], **more: Any) -> list[dict[str, Any]]:
    """So many frames graded 1, 2 and 3."""
    grades = np.repeat([1, 2, 3], counts)
    return [a_row(f"c{place:03}", int(grade), **more) for place, grade in enumerate(grades)]


def published_guided() -> list[dict[str, Any]]:
    """The counts of FADA's guided validation: 49 cases, one reader."""
    guided = {"reader": "one", "mode": "guided", "version": "skd"}
    return rows_of((36, 12, 1), dimension="interpretation", **guided) + rows_of(
        (31, 14, 4), dimension="annotation", **guided
    )


def simulated_study(
    cases: int = 24,
    readers: Sequence[str] = ("anna", "bo", "cleo"),
    versions: Sequence[str] = ("base", "skd", "fkd"),
    *,
    seed: int = 0,
    guided: bool = True,
) -> list[dict[str, Any]]:
    """A study with every column: frames in autonomous mode, half of them in guided mode too, some repeated."""
    random = np.random.default_rng(seed)
    quality = random.normal(0, 1, (cases, 2))
    rows = []
    for mode in ["autonomous", "guided"] if guided else ["autonomous"]:
        chosen = range(cases) if mode == "autonomous" else range(0, cases, 2)
        for reader in readers:
            order = [(int(case), 0) for case in random.permutation(list(chosen))]
            order += [(case, 1) for case, _ in order[: max(2, cases // 8)]]
            for position, (case, repeat) in enumerate(order, start=1):
                for slot, version in enumerate(versions if mode == "autonomous" else versions[:1]):
                    for place, dimension in enumerate(("interpretation", "annotation")):
                        latent = quality[case, place] + random.normal(0, 0.6) - 0.2 * slot
                        grade = 1 + int(latent > 0.2) + int(latent > 1.2)
                        rows.append(
                            a_row(
                                f"case{case:03}",
                                "NG" if random.random() < 0.01 else grade,
                                subject=f"s{case // 2:03}",
                                site=("Oslo", "Pune")[case % 2],
                                scanner=("E10", "Epiq")[case // 2 % 2],
                                plane=("Trans-thalamic", "Abdomen", "Femur")[case % 3],
                                split="test",
                                reader=reader,
                                mode=mode,
                                version=version,
                                slot="ABC"[slot],
                                dimension=dimension,
                                repeat=repeat,
                                position=position,
                                period=1 if mode == "autonomous" else 2,
                                seconds=round(float(random.gamma(4, 4)), 1),
                                apl_px=round(float(40 * grade + random.normal(0, 15)), 1) if place else None,
                                own_view_agrees=int(random.random() < 0.9) if mode == "guided" else None,
                                overturned=int(random.random() < 0.1) if mode == "guided" else None,
                                comment="",
                            )
                        )
    return rows


def write_csv(path: Path, rows: Iterable[Mapping[str, object]], delimiter: str = ",") -> Path:
    """Write rows as a plain CSV, whatever is in them."""
    import csv

    listed = list(rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(listed[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(listed)
    return path
