"""Replays a labelled set as a loop: label some frames, train, let a strategy choose the next, train again.

Every strategy of a seed starts from the same frames and the weights learnt on them. From these weights each round
is trained anew on all labels so far, and measured on the same frozen test frames. After each training one line is
appended to the raw results, with the frames that are labelled next; a killed run goes on after the last whole line
and ends with the same results. Seeds come one after the other, so that what is finished can be weighed.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from annotator.errors import InputError
from annotator.files import write_atomically
from annotator.selection import BASELINE, STRATEGIES, Pool, pick
from annotator.selection.evidence import Round
from backends.training.simulation.boxes import BoxLearner
from backends.training.simulation.data import LabelledSet, Sample
from backends.training.simulation.learners import Learner
from backends.training.simulation.masks import MaskLearner
from backends.training.simulation.measure import Score


@dataclass(frozen=True)
class SimulationSettings:
    """How many frames are labelled when, and by whom they are chosen; the baseline is always among them."""

    seeds: int = 12
    start: int = 20
    step: int = 20
    rounds: int = 3
    strategies: tuple[str, ...] = field(default=tuple(STRATEGIES))
    random_share: float = 0.15

    def __post_init__(self) -> None:
        unknown = [name for name in self.strategies if name not in STRATEGIES]
        if unknown:
            raise InputError(f"there is no strategy {unknown[0]!r}; choose among {', '.join(STRATEGIES)}")
        if BASELINE not in self.strategies or len(set(self.strategies)) != len(self.strategies):
            raise InputError(f"name each strategy once, {BASELINE} among them: the others are compared with it")
        if min(self.seeds, self.start, self.step, self.rounds) < 1:
            raise InputError("seeds, start, step and rounds must be at least 1")


def learner_for(labelled: LabelledSet) -> Learner:
    """Return the learner of a set's kind, with its usual settings."""
    return (MaskLearner if labelled.kind == "masks" else BoxLearner)(labelled.structures)


def simulate_loop(
    labelled: LabelledSet,
    learner: Learner,
    settings: SimulationSettings,
    raw: Path,
    told: Callable[[int], None] = lambda _: None,
) -> list[Round]:
    """Run, or go on with, a simulation; return all rounds. `told` hears how many are finished.

    Raises InputError where the set is too small, or `raw` was begun with another set or other settings.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # frames are small; cv2's own threads would fight torch's
    units = len({sample.unit for sample in labelled.pool})
    wanted = settings.start + settings.step * settings.rounds
    if units < wanted:
        raise InputError(
            f"{labelled.name} has {units} subjects to label, {wanted} are asked for; take fewer rounds"
        )
    journal = Journal(raw, describe_run(labelled, learner, settings))
    told(len(journal.rounds))
    for seed in range(settings.seeds):
        loop = _Loop(labelled, learner, settings, seed)
        for strategy in settings.strategies:
            for row in loop.run(strategy, journal.of(seed, strategy)):
                journal.append(row)
                told(len(journal.rounds))
    return journal.rounds


class Journal:
    """The raw results: a line that says what they are of, then a line for each round, whole or not there."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path, self.rounds = path, list[Round]()
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        whole = lines[:-1]  # what comes after the last line break was cut off by a kill
        if not whole:
            write_atomically(path, json.dumps(header).encode() + b"\n")
            return
        if json.loads(whole[0]) != json.loads(json.dumps(header)):
            raise InputError(f"{path} was begun with another set or other settings; choose another folder")
        self.rounds = [Round.model_validate_json(line) for line in whole[1:]]
        if lines[-1]:
            write_atomically(path, b"\n".join(whole) + b"\n")

    def of(self, seed: int, strategy: str) -> list[Round]:
        """Return the rounds that are finished, in order."""
        return [row for row in self.rounds if (row.seed, row.strategy) == (seed, strategy)]

    def append(self, row: Round) -> None:
        """Write one line, and have it on the disk before going on."""
        with self.path.open("ab") as file:
            file.write(row.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.rounds.append(row)


class _Loop:
    """One seed: the start is labelled and learnt once and shared by all strategies."""

    def __init__(self, labelled: LabelledSet, learner: Learner, settings: SimulationSettings, seed: int) -> None:
        self.set, self.learner, self.settings, self.seed = labelled, learner, settings, seed
        self.samples = {sample.frame_id: sample for sample in labelled.pool}
        chosen = pick(BASELINE, _bare(labelled.pool), settings.start, seed=self._seed("start", 0))
        self.start = [one.frame_id for one in chosen]
        self._first: tuple[torch.nn.Module, Score] | None = None

    def run(self, strategy: str, done: Sequence[Round]) -> Iterator[Round]:
        """Yield the rounds that are not done yet."""
        names = [*self.start, *(name for row in done for name in row.picked)]
        for turn in range(len(done), self.settings.rounds + 1):
            begun = time.perf_counter()
            network, score = self._trained(names, turn)
            picks = []
            if turn < self.settings.rounds:
                pool = self._pool(strategy, network, names, turn)
                seed, share = self._seed(strategy, turn), self.settings.random_share
                picks = pick(strategy, pool, self.settings.step, seed=seed, random_share=share)
            yield Round(
                seed=self.seed,
                strategy=strategy,
                round=turn,
                labels=len(names),
                value=score.value,
                balanced=score.balanced,
                picked=tuple(one.frame_id for one in picks),
                by_chance=sum(one.by == BASELINE for one in picks),
                seconds=round(time.perf_counter() - begun, 2),
            )
            names = [*names, *(one.frame_id for one in picks)]

    def _trained(self, names: Sequence[str], turn: int) -> tuple[torch.nn.Module, Score]:
        if self._first is None:
            network = self.learner.fit([self.samples[name] for name in self.start], self.seed, 0, None)
            self._first = network, self.learner.score(network, self.set.test)
        if turn == 0:
            return self._first
        network = self.learner.fit([self.samples[name] for name in names], self.seed, turn, self._first[0])
        return network, self.learner.score(network, self.set.test)

    def _pool(self, strategy: str, network: torch.nn.Module, names: Sequence[str], turn: int) -> Pool:
        """Look at the frames that are left as far as the strategy needs it."""
        known = [self.samples[name] for name in names]
        units = {sample.unit for sample in known}
        left = [sample for sample in self.set.pool if sample.unit not in units]
        needs = STRATEGIES[strategy].needs
        pool = replace(_bare(left), labelled_strata=tuple(sample.stratum for sample in known), round=turn)
        if not needs:
            return pool
        reading = self.learner.read(network, left, "disagreement" in needs)
        covered = self.learner.read(network, known, False).embeddings if "embeddings" in needs else None
        return replace(
            pool,
            uncertainty=reading.uncertainty,
            disagreement=reading.disagreement,
            embeddings=reading.embeddings,
            labelled_embeddings=covered,
            structures=reading.structures,
            labelled_structures=tuple(sample.present(self.set.structures) for sample in known),
        )

    def _seed(self, what: str, turn: int) -> int:
        return int(np.random.SeedSequence([self.seed, zlib.crc32(what.encode()), turn]).generate_state(1)[0])


def _bare(samples: Sequence[Sample]) -> Pool:
    return Pool(
        ids=tuple(sample.frame_id for sample in samples),
        strata=tuple(sample.stratum for sample in samples),
        units=tuple(sample.unit for sample in samples),
    )


def describe_run(labelled: LabelledSet, learner: Learner, settings: SimulationSettings) -> dict[str, Any]:
    """What all rounds have in common; the number of seeds is not among it, since more may be added later."""
    return {
        "data": labelled.name,
        "sha256": labelled.sha256,
        "measure": learner.measure,
        "pool_frames": len(labelled.pool),
        "test_frames": len(labelled.test),
        "settings": {name: value for name, value in asdict(settings).items() if name != "seeds"},
        "learner": learner.describe(),
        "torch": torch.__version__,
    }
