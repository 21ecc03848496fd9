"""`simulate` from finished trainings: what is written, printed, and kept for the queue."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotator.commands.simulating import simulate
from annotator.errors import InputError, JobError
from annotator.files import exclusive_lock
from annotator.selection import BASELINE, Evidence
from annotator.selection.evidence import Round
from annotator.store import Store
from annotator.store.learning import evidences
from backends.training.simulation import Journal, SimulationSettings, describe_run, learner_for
from backends.training.simulation.data import load_labelled
from tests.backends.training.simulated_sets import write_set

STRATEGIES = (BASELINE, "uncertainty", "typical")
SHAPE = {"seeds": 6, "start": 4, "step": 4, "rounds": 2}


def finished(folder: Path, out: Path, gains: dict[str, float]) -> Path:
    """Raw results of a simulation that is through, each strategy better than chance by so much."""
    labelled = load_labelled(folder)
    settings = SimulationSettings(**SHAPE, strategies=STRATEGIES)
    journal = Journal(out / "raw.jsonl", describe_run(labelled, learner_for(labelled), settings))
    draw = np.random.default_rng(0)
    for seed in range(6):
        level = draw.normal(0.8, 0.03)
        for strategy in STRATEGIES:
            for turn in range(3):
                noise = 0.001 * draw.normal()
                value = level + 0.02 * turn + (gains.get(strategy, 0.0) if turn else 0.0) + noise
                row = {"seed": seed, "strategy": strategy, "round": turn, "labels": 4 + 4 * turn}
                journal.append(Round(**row, value=value, balanced=value))
    return out


def test_evidence_is_written_printed_and_kept_for_the_queue(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "heads")
    out = finished(folder, tmp_path / "out", {"typical": 0.03, "uncertainty": -0.03})
    result = simulate(tmp_path / "workspace", folder, out, **SHAPE, strategies=["uncertainty", "typical"])
    kept = Evidence.model_validate_json((out / "evidence.json").read_text())
    assert result.document == json.loads((out / "evidence.json").read_text())
    assert (kept.recommended, kept.data, kept.measure, kept.seeds) == ("typical", "heads", "Dice", 6)
    lines = result.text.splitlines()
    assert lines[3].startswith("typical")
    assert "6/6" in lines[3]
    assert lines[4].startswith("uncertainty")
    assert "0/6" in lines[4]
    assert lines[-1] == "The queue will serve typical: the largest gain, its interval above zero."
    store = Store(tmp_path / "workspace")
    assert evidences(store) == [kept]
    store.close()
    plot = cv2.imread(str(out / "curves.png"))
    assert plot is not None
    assert plot.std() > 5


def test_the_baseline_is_served_where_nothing_helps(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "heads")
    out = finished(folder, tmp_path / "out", {"typical": -0.03, "uncertainty": -0.03})
    text = simulate(tmp_path / "workspace", folder, out, **SHAPE, strategies=STRATEGIES).text
    assert text.endswith("The queue will serve stratified-random: no interval lies above zero.")


def test_two_simulations_into_one_folder_are_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "heads")
    with exclusive_lock(tmp_path / "out" / ".lock", "another"), pytest.raises(JobError, match="already running"):
        simulate(tmp_path / "workspace", folder, tmp_path / "out", **SHAPE)


def test_an_unknown_strategy_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no strategy 'luck'"):
        simulate(tmp_path / "workspace", tmp_path / "missing", strategies=["luck"])
