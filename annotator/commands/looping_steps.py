"""The four stages of a round: each may be done again after an interruption without doing its work twice."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotator.commands.fetching import push_predictions
from annotator.commands.models import chosen, open_backend, run_preannotation, serving_choice
from annotator.commands.queueing import make_queue, push_to_labelstudio
from annotator.commands.trainers import TRAINERS, Trainer
from annotator.commands.training import Bars
from annotator.commands.training_jobs import Wish, queue_from_store
from annotator.commands.training_runs import work_off
from annotator.commands.workspace import say
from annotator.errors import JobError
from annotator.learning import (
    OPEN_STATES,
    Decision,
    LoopStage,
    LoopStep,
    Promotion,
    QueueRound,
    TrainableBackend,
    TrainingRun,
    TrainingState,
)
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.learning import (
    add_loop_step,
    loop_steps,
    promotions,
    queue_rounds,
    queue_training,
    training_run,
    training_runs,
)

STAGES = tuple(LoopStage)
POLL_S = 2.0


def promote_version(workspace: Path, name: str) -> object:
    """Promote a version where the evidence allows it."""
    from annotator.commands.promoting import promote

    return promote(workspace, name)


def predict_and_push(store: Store, settings: Settings, backend: TrainableBackend) -> None:
    """Have what serves now predict all frames, and bring that to Label Studio; older predictions stay."""
    model = open_backend(serving_choice(store, chosen({"backend": backend})), settings)
    run_preannotation(store, model, settings)
    told = push_predictions(store)
    if told:
        say(told)


@dataclass(frozen=True)
class Means:
    """What a round calls to do its work."""

    trainers: Mapping[str, Trainer] = field(default_factory=lambda: TRAINERS)
    promote: Callable[[Path, str], object] = promote_version
    predict: Callable[[Store, Settings, TrainableBackend], None] = predict_and_push


@dataclass(frozen=True)
class Loop:
    """One loop of some rounds; `number` counts the loops of a backend."""

    store: Store
    settings: Settings
    wish: Wish
    number: int
    size: int
    strategy: str
    means: Means

    @property
    def loop_id(self) -> str:
        """The same for every call until its rounds are done."""
        return f"{self.wish.backend}-{self.number}"

    def steps(self) -> list[LoopStep]:
        """What was finished, oldest first."""
        return [step for step in loop_steps(self.store) if step.loop_id == self.loop_id]

    def next_stage(self) -> tuple[int, LoopStage]:
        """The round and the stage that come next."""
        done = self.steps()
        if not done:
            return 1, STAGES[0]
        place = STAGES.index(done[-1].stage) + 1
        return (done[-1].round, STAGES[place]) if place < len(STAGES) else (done[-1].round + 1, STAGES[0])

    def queue(self, number: int) -> LoopStep:
        """Queue frames and push them, whatever hinders the push."""
        queue = self._queue(number, 1, self.size)
        return self._finish(number, LoopStage.QUEUED, queue.queue_id, f"{len(queue.picks)} by {queue.served}")

    def top_up(self, number: int, missing: int) -> bool:
        """Queue more where all that was queued is answered, but too little corrected; tell whether it was done."""
        mine = [one for one in queue_rounds(self.store) if one.queue_id.startswith(self._queue_id(number))]
        answered = {said.frame_id for said in self.store.newest_of_readers()}
        if not all(pick.frame_id in answered for queue in mine for pick in queue.picks):
            return False
        return bool(mine and mine[-1].picks and self._queue(number, len(mine) + 1, missing).picks)

    def start_training(self, number: int) -> LoopStep:
        """Queue the training; one of this backend that is open already is this round's."""
        run = self._training(number) or queue_from_store(self.store, self.settings, self._named(number))
        note = f"{run.spec.new_corrections} frames corrected, training {run.run_id}"
        return self._finish(number, LoopStage.CORRECTED, run.spec.dataset, note)

    def has_training(self, number: int) -> bool:
        """Tell whether this round's training is queued already, though the step is not noted."""
        return self._training(number) is not None

    def train(self, number: int) -> LoopStep:
        """Work the training off, or wait for who does; JobError where it failed."""
        dataset = self.steps()[-1].refers_to
        run = next(run for run in self._runs() if run.spec.dataset == dataset)
        if run.state in (TrainingState.FAILED, TrainingState.CANCELLED):
            run = queue_training(self.store, run.spec)
        while run.state in OPEN_STATES:
            try:
                work_off(self.store, self.settings, Bars(), self.means.trainers)
            except JobError as error:
                say(f"{error}; waiting for it")
                time.sleep(POLL_S)
            run = training_run(self.store, run.run_id)
        if run.model_version is None:
            raise JobError(f"training {run.run_id} {run.state}: {run.message}; the same command tries again")
        return self._finish(number, LoopStage.TRAINED, run.model_version, run.message)

    def decide(self, number: int) -> LoopStep:
        """Promote or keep; what was promoted predicts all frames."""
        name = self.steps()[-1].refers_to
        decision = self._decision(name)
        if decision is None:
            self.means.promote(self.store.workspace, name)
            decision = self._decision(name)
        if decision is None:
            raise JobError(f"nothing was decided about {name}; try `annotator models promote {name}`")
        if decision.decision is Decision.PROMOTED:
            self.means.predict(self.store, self.settings, self.wish.backend)
        note = f"{name} {decision.decision}"
        return self._finish(number, LoopStage.DECIDED, decision.promotion_id, note)

    def _queue(self, number: int, part: int, size: int) -> QueueRound:
        queue_id = self._queue_id(number, part)
        queue = next((one for one in queue_rounds(self.store) if one.queue_id == queue_id), None)
        if queue is None:
            queue, _ = make_queue(
                self.store,
                self.settings,
                self.strategy,
                size,
                self.wish.backend,
                seed=self.wish.seed + number,
                queue_id=queue_id,
            )
        for note in push_to_labelstudio(self.store, queue) if queue.picks else ["no frame is left to queue"]:
            say(note)
        return queue

    def _queue_id(self, number: int, part: int | None = None) -> str:
        """The same when called again; its last eight characters are hex, as the mark in Label Studio must be."""
        of_round = f"que_{self.wish.backend}_{self.number:04x}{number:02x}"
        return of_round if part is None else f"{of_round}{part:02x}"

    def _named(self, number: int) -> Wish:
        wish = self.wish
        named = f"loop {self.loop_id}, round {number}"
        return Wish(wish.backend, wish.which, wish.least, wish.seed, wish.settings, named)

    def _training(self, number: int) -> TrainingRun | None:
        named = self._named(number).asked_by
        return next((run for run in self._runs() if run.state in OPEN_STATES or run.spec.asked_by == named), None)

    def _runs(self) -> list[TrainingRun]:
        return [run for run in training_runs(self.store, limit=200) if run.backend == self.wish.backend]

    def _decision(self, name: str) -> Promotion | None:
        made = [one for one in promotions(self.store, self.wish.backend) if one.candidate == name]
        return made[-1] if made else None

    def _finish(self, number: int, stage: LoopStage, refers_to: str, note: str) -> LoopStep:
        step = LoopStep(loop_id=self.loop_id, round=number, stage=stage, refers_to=refers_to, note=note)
        add_loop_step(self.store, step)
        say(f"round {number}, {stage}: {note}")
        return step


def loop_number(store: Store, backend: TrainableBackend, rounds: int) -> int:
    """Return the loop to go on with: the last one until its rounds are decided, then a new one."""
    mine = [step for step in loop_steps(store) if step.loop_id.rpartition("-")[0] == backend]
    if not mine:
        return 1
    last = mine[-1]
    number = int(last.loop_id.rpartition("-")[2])
    is_done = last.stage is LoopStage.DECIDED and last.round >= rounds
    return number + 1 if is_done else number
