"""Corrections of a kind that the release does badly raise it there, by store, export, training and gate."""

from dataclasses import replace
from pathlib import Path

from backends.training.data import Example
from backends.training.finetune import FineTuneSettings
from backends.training.finetune.rehearsal import simulated_frames
from backends.training.finetune.tasks import Teaching
from benchmarks.corrections_raise import run, table

QUICK = FineTuneSettings(
    epochs=3, learning_rate=1e-3, simulated=3, teaching=Teaching(batch=8, least_per_epoch=16, most_per_epoch=16)
)


def heads(count: int, split: str, seed: int) -> list[Example]:
    frames = (one for one in simulated_frames(4 * count // 3 + 2, seed) if one.mask is not None)
    return [
        replace(one, source="hc18", split=split, subject=f"{split}-{one.subject}", plane=None)
        for one, _ in zip(frames, range(count), strict=False)
    ]


def test_corrections_raise_a_kind_that_was_bad_and_leave_the_others(tmp_path: Path) -> None:
    examples = [*heads(8, "train", 10), *heads(6, "val", 20)]
    result = run(examples, "heads", tmp_path, look="inverted", frames=8, settings=QUICK)
    dice = result["raised"]["Dice of heads"]
    assert dice["old"] < 0.6
    assert dice["difference"]["ci95"][0] > 0
    others = {one["measure"]: one["difference"] for one in result["others"] if one["what"] == "Brain"}
    assert set(others) == {"dice", "detection"}
    assert others["dice"] > -0.03
    assert result["corrected_frames"] == {"head": 8}
    assert f"{dice['old']:.4f} -> {dice['new']:.4f}" in table(result)
