"""`annotator queue`: what is to be labelled next, why in this order, and that it is so in Label Studio."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from annotator.cli import Result
from annotator.commands.queue_pool import Labelling, build_pool, checked_frames, held_back, labelling_of
from annotator.commands.workspace import opened
from annotator.errors import InputError, LabelStudioError
from annotator.labelstudio import ordering
from annotator.labelstudio.connect import open_client
from annotator.labelstudio.push import push
from annotator.learning import QueueRound, TrainableBackend, model_folder
from annotator.schema import new_id
from annotator.selection import BASELINE, STRATEGIES, Evidence, Pick, likely_errors, pick
from annotator.settings import Settings, read_settings
from annotator.store import Store
from annotator.store.learning import add_queue_round, evidences, serving_version

if TYPE_CHECKING:
    from backends.embedded import EmbeddedBackend

AUTO, DEFAULT_SIZE = "auto", 20


class Choice(NamedTuple):
    """The strategy that decides, why it does, and what showed it."""

    strategy: str
    reason: str
    evidence: Evidence | None = None


def queue_frames(
    workspace: Path,
    strategy: str = AUTO,
    size: int = DEFAULT_SIZE,
    relabel: bool = False,
    backend: TrainableBackend = "embedded",
    no_push: bool = False,
    seed: int = 0,
) -> Result:
    """Choose what is labelled next, keep it, and make it the next tasks in Label Studio where that runs."""
    settings = read_settings()
    with opened(workspace, settings) as store:
        queue, notes = make_queue(store, settings, strategy, size, backend, seed=seed, relabel=relabel)
        if not no_push and queue.picks:
            notes += push_to_labelstudio(store, queue)
        lines = [queue.reason, *_evidence_lines(queue, store), *_pick_lines(store, queue), *notes]
    return Result(queue.model_dump(mode="json") | {"notes": notes}, "\n".join(lines))


def make_queue(
    store: Store,
    settings: Settings,
    strategy: str = AUTO,
    size: int = DEFAULT_SIZE,
    backend: TrainableBackend = "embedded",
    *,
    seed: int = 0,
    relabel: bool = False,
    queue_id: str | None = None,
) -> tuple[QueueRound, list[str]]:
    """Pick, and append the round; return it with what the reader should know beside.

    InputError where the strategy is unknown or lacks what it needs.
    """
    opening = _Opening(store, backend, settings)
    labelling = labelling_of(store)
    notes = _left_out(labelling)
    if relabel:
        choice, picks = RELABELLING, likely_errors(list(checked_frames(store, labelling)), size)
    else:
        choice, picks = _by_strategy(store, labelling, opening, strategy, size, seed)
        notes += _split_notes(store, [labelling.frames[one.frame_id] for one in picks])
    queue = QueueRound(
        queue_id=queue_id or new_id("que"),
        asked=strategy,
        served=choice.strategy,
        reason=choice.reason,
        evidence_id=choice.evidence.evidence_id if choice.evidence else None,
        model_version=opening.version,
        relabels=relabel,
        picks=tuple(picks),
        seed=seed,
    )
    add_queue_round(store, queue)
    return queue, notes if picks else [*notes, "no frame is left to queue"]


def choose_strategy(store: Store, asked: str) -> Choice:
    """Follow the evidence where `auto` is asked for; InputError for a strategy that there is not.

    Of each data set that was simulated the newest evidence counts. Only a strategy that saved labels on every one
    is served, the one whose least gain is largest: what helps one kind of frame may harm another.
    """
    known = evidences(store)
    newest, last = {one.data: one for one in known}, known[-1] if known else None
    if asked != AUTO:
        if asked not in STRATEGIES:
            raise InputError(f"there is no strategy {asked!r}; choose {AUTO} or one of {', '.join(STRATEGIES)}")
        return Choice(asked, f"{asked}, as asked for", last)
    if last is None:
        return Choice(BASELINE, f"{BASELINE}: nothing has shown yet that more helps; `annotator simulate` tries it")
    tried = " and ".join(sorted(newest))
    gains = {
        name: [found.gain for one in newest.values() if (found := one.of(name)) and found.helps]
        for name in STRATEGIES
    }
    helping = {name: min(found) for name, found in gains.items() if len(found) == len(newest)}
    if not helping:
        each = " on each" if len(newest) > 1 else ""
        return Choice(BASELINE, f"{BASELINE}: no strategy's interval lies above zero on {tried}{each}", last)
    best = max(helping, key=lambda name: helping[name])
    return Choice(best, f"{best}: it saved labels on {tried}", last)


def push_to_labelstudio(store: Store, queue: QueueRound) -> list[str]:
    """Make the queue the next tasks there; what hinders it is told, and the queue stays."""
    frame_ids = [one.frame_id for one in queue.picks]
    try:
        with open_client(store.workspace) as client:
            push(store, client)
            if queue.relabels:
                return [f"{ordering.show_again(store, client, frame_ids)} tasks in the tab '{ordering.LOOK_AGAIN}'"]
            report = ordering.push_queue(store, client, queue.queue_id, frame_ids)
    except LabelStudioError as error:
        return [f"not pushed: {error}"]
    notes = [f"{report.queued} tasks are the next ones in Label Studio"]
    return notes + ([f"Label Studio refused {report.refused} of them"] if report.refused else [])


RELABELLING = Choice("label-errors", "labels that a model contradicts which was not trained on them")


class _Opening:
    """The version that serves: its name, and its networks where a strategy needs them."""

    def __init__(self, store: Store, backend: TrainableBackend, settings: Settings) -> None:
        self._store, self._backend, self._threads = store, backend, settings.threads
        self._model: EmbeddedBackend | None = None
        self.version = serving_version(store, backend) or self._of_the_release()

    def model(self) -> "EmbeddedBackend":
        """Load the embedded networks that serve: they have an encoder, whatever backend is asked."""
        from backends.embedded import SHIPPED_WEIGHTS, EmbeddedBackend

        if self._model is None:
            name = serving_version(self._store, "embedded")
            folder = model_folder(self._store.workspace, name) if name else SHIPPED_WEIGHTS
            if not folder.is_dir():
                raise InputError(f"{name} serves, but its files are not in {folder}: put them back")
            self._model = EmbeddedBackend(folder, threads=self._threads)
        return self._model

    def _of_the_release(self) -> str | None:
        """What was asked last of this backend, among versions that were not trained here."""
        made_here = {model.name for model in self._store.model_versions() if model.dataset}
        named = [
            model.name
            for model in self._store.model_versions()
            if model.backend == self._backend and model.name not in made_here
        ]
        return named[-1] if named else None


def _by_strategy(
    store: Store, labelling: Labelling, opening: _Opening, asked: str, size: int, seed: int
) -> tuple[Choice, list[Pick]]:
    """Pick by the strategy that decides; one that `auto` chose and that lacks something gives way to chance."""
    choice = choose_strategy(store, asked)
    pool = build_pool(store, labelling, opening.version, STRATEGIES[choice.strategy].needs, opening.model)
    try:
        return choice, pick(choice.strategy, pool, size, seed=seed)
    except InputError as error:
        if asked != AUTO or choice.strategy == BASELINE:
            raise
        reason = f"{BASELINE}: {choice.strategy} is better, but {error}"
        return Choice(BASELINE, reason, choice.evidence), pick(BASELINE, pool, size, seed=seed)


def _left_out(labelling: Labelling) -> list[str]:
    notes = [f"{labelling.frozen} frames of reader studies are never queued"] if labelling.frozen else []
    if labelling.twins:
        notes.append(f"{labelling.twins} frames of a loop or group that is labelled already are left out")
    return notes


def _split_notes(store: Store, frames: list[Any]) -> list[str]:
    counted = held_back(store, frames)
    told = ", ".join(f"{count} {split}" for split, count in sorted(counted.items()))
    return [f"held back from training, but labelled all the same: {told}"] if counted else []


def _evidence_lines(queue: QueueRound, store: Store) -> list[str]:
    evidence = next((one for one in evidences(store) if one.evidence_id == queue.evidence_id), None)
    if evidence is None:
        return []
    lines = [
        f"gain in area under the learning curve over {evidence.baseline}, {evidence.seeds} seeds, {evidence.data}:"
    ]
    for one in sorted(evidence.strategies, key=lambda one: -one.gain):
        low, high = one.gain_interval
        lines.append(
            f"  {one.strategy:20} {one.gain:+.4f} [{low:+.4f}, {high:+.4f}], {one.wins} of {one.seeds} seeds"
        )
    return lines


def _pick_lines(store: Store, queue: QueueRound) -> list[str]:
    names = store.names()
    lines = []
    for place, one in enumerate(queue.picks, 1):
        value = "" if one.value is None else f" {one.value:.3f}"
        name = (names.get(one.frame_id) or [one.frame_id])[0]
        lines.append(f"{place:4} {name}  ({one.by}{value}: {one.reason})")
    return lines
