"""The documented simulations: what is told follows from the raw results that are kept beside it."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path

import pytest

from annotator.selection import BASELINE, STRATEGIES, Evidence
from annotator.selection.evidence import Round, weigh

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "evidence"
SETS = ("hc18", "fetus_nt")


def raw_of(name: str) -> tuple[dict[str, object], list[Round]]:
    header, *lines = (FOLDER / name / "raw.jsonl").read_text().splitlines()
    return json.loads(header), [Round.model_validate_json(line) for line in lines]


def evidence_of(name: str) -> Evidence:
    return Evidence.model_validate_json((FOLDER / name / "evidence.json").read_text())


@pytest.mark.parametrize("name", SETS)
def test_the_evidence_is_what_the_raw_results_weigh(name: str) -> None:
    kept, (header, rounds) = evidence_of(name), raw_of(name)
    assert kept.raw_sha256 == hashlib.sha256((FOLDER / name / "raw.jsonl").read_bytes()).hexdigest()
    facts = {"data": kept.data, "measure": kept.measure, "start": kept.start, "step": kept.step}
    again = weigh(rounds, **facts, test_frames=kept.test_frames, raw_sha256=kept.raw_sha256)  # type: ignore[arg-type]
    same = {"evidence_id": kept.evidence_id, "created_at": kept.created_at}
    told, found = (json.loads(one.model_copy(update=same).model_dump_json()) for one in (kept, again))
    assert found.keys() == told.keys()
    for before, after in zip(told["strategies"], found["strategies"], strict=True):
        assert after.pop("strategy") == before.pop("strategy")
        for part, value in before.items():
            assert after[part] == pytest.approx(value, abs=1e-9)
    assert again.recommended == kept.recommended
    assert (header["data"], header["measure"]) == (name, kept.measure)


@pytest.mark.parametrize("name", SETS)
def test_the_run_is_as_long_and_as_fair_as_it_is_said_to_be(name: str) -> None:
    kept, (_, rounds) = evidence_of(name), raw_of(name)
    assert kept.seeds >= 10
    assert kept.start == 20
    assert {BASELINE, *(one.strategy for one in kept.strategies)} == set(STRATEGIES)
    starts: dict[int, set[float]] = defaultdict(set)
    for row in rounds:
        if row.round == 0:
            starts[row.seed].add(row.value)
        if row.picked and row.strategy != BASELINE:
            assert 0.1 <= row.by_chance / len(row.picked) <= 0.2
        assert len(set(row.picked)) == len(row.picked)
    assert all(len(values) == 1 for values in starts.values())  # every strategy of a seed starts alike
    assert len(starts) == kept.seeds


@pytest.mark.parametrize("name", SETS)
def test_what_is_recommended_has_an_interval_above_zero_or_is_the_baseline(name: str) -> None:
    kept = evidence_of(name)
    helping = {one.strategy: one.gain for one in kept.strategies if one.gain_interval[0] > 0}
    assert kept.recommended == (max(helping, key=lambda one: helping[one]) if helping else BASELINE)
