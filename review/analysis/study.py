"""All figures of a study, in the order in which a referee asks for them."""

from typing import Any

from review.analysis import agreeing, comparing, effort, grades
from review.analysis.figures import LEVEL, as_json
from review.analysis.observed_power import seen_by_the_study
from review.analysis.resampling import RESAMPLES, SEED
from review.analysis.software import versions_used
from review.scores_table import ScoresTable

Document = dict[str, Any]


def analyse(table: ScoresTable, *, seed: int = SEED) -> Document:
    """Compute everything; the same rows, in any order, and the same seed give the same document."""
    versions = comparing.compare_versions(table, seed)
    document = {
        "level": LEVEL,
        "seed": seed,
        "resamples": RESAMPLES,
        "software": versions_used(),
        "data": grades.describe(table),
        "notes": list(table.notes),
        "grades": grades.grade_cells(table, seed),
        "overall": grades.overall_means(table, seed),
        "by_reader": grades.by_reader(table, seed),
        "versions": versions,
        "modes": comparing.compare_modes(table, seed),
        "own_views": comparing.own_views(table),
        "between_readers": agreeing.between_readers(table, seed),
        "within_readers": agreeing.within_readers(table, seed),
        "by_factor": grades.by_factor(table, seed),
        "time": effort.time_per_case(table, seed),
        "effort": effort.effort_against_grade(table, seed),
        "position": effort.position_effects(table, seed),
        "slots": effort.slot_effects(table, seed),
        "power": seen_by_the_study(table, versions),
    }
    found: Document = as_json(document)
    return found
