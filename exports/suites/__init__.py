"""Benchmarks of the field: their published files read, answers scored by their formula, flaws mended and named."""

from pathlib import Path

from annotator.errors import InputError
from exports.suites.records import Suite, SuiteQuestion

__all__ = ["SUITES", "Suite", "SuiteQuestion", "open_suite"]

SUITES = ("u2-bench", "fetal-gauge")


def open_suite(name: str, folder: Path) -> Suite:
    """Open a benchmark in the folder that the user downloaded; InputError names what cannot be used."""
    if name == "u2-bench":
        from exports.suites.u2_bench import U2Bench

        return U2Bench(folder)
    if name == "fetal-gauge":
        from exports.suites.fetal_gauge import FetalGauge

        return FetalGauge(folder)
    raise InputError(f"no suite is called {name!r}; there are {', '.join(SUITES)}")
