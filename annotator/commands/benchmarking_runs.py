"""Asking the models of a benchmark, each in a process of its own; what was answered before is not asked again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.commands.benchmarking_models import Contestant
from annotator.commands.workspace import progress, say
from annotator.errors import AnnotatorError, FrameError
from annotator.schema import LoadedFrame

if TYPE_CHECKING:
    from backends.asking.inquiries import Facts, Inquiry, Said
    from backends.asking.worker import ExamineeWorker
    from exports.benchmark.records import AnswerLine, Asked, Head, Plan
    from exports.benchmark.runs import Run

LONGEST_OPEN_FAILURES = 3
"""So many frames in a row on which all answers fail, and the model is asked no further."""

Work = list[tuple[str, "list[tuple[str, Inquiry]]"]]


@dataclass(frozen=True)
class Conditions:
    """What holds for all models alike."""

    plan: "Plan"
    folder: Path
    variants: tuple[str, ...]
    threads: int
    limit_s: float
    load: Callable[[str], LoadedFrame]


class ModelRun:
    """One model, all wordings: opened once, asked frame by frame, every frame's answers on the disk at once."""

    def __init__(self, model: Contestant, conditions: Conditions) -> None:
        """Prepare; nothing is opened yet."""
        from exports.benchmark.runs import RUNS, RunFile

        self._model, self._of = model, conditions
        folder = conditions.folder / RUNS
        self._files: dict[str, RunFile] = {
            variant: RunFile(folder / model.file_name(variant)) for variant in conditions.variants
        }
        self._facts: Facts | None = None

    def forget(self) -> None:
        """Delete what was answered before."""
        for file in self._files.values():
            file.path.unlink(missing_ok=True)

    def go(self) -> None:
        """Ask what is not answered yet; a failure of the model is kept in its files and stops nobody else."""
        from backends.asking.worker import ExamineeWorker

        if self._is_complete():
            say(f"{self._model.label}: all is answered")
            return
        say(f"{self._model.label}: opening")
        worker = ExamineeWorker(
            self._model.choice,
            threads=self._of.threads,
            sentence=self._of.plan.sentence,
            limit_s=self._of.limit_s,
        )
        try:
            reason = self._ask_all(worker)
            peak = worker.peak()
        finally:
            worker.close()
        if reason is not None:
            say(f"{self._model.label}: {reason}")
        self._end(reason, peak)

    def _ask_all(self, worker: "ExamineeWorker") -> str | None:
        """Return why the model is asked no further; None where all is asked."""
        try:
            self._begin(worker.open())
            return self._through_frames(worker)
        except AnnotatorError as error:
            return str(error)

    def _begin(self, facts: "Facts") -> None:
        self._facts = facts
        self._files = {variant: file for variant, file in self._files.items() if variant in facts.variants}
        for variant, file in self._files.items():
            file.append([self._head(facts, variant)])

    def _head(self, facts: "Facts", variant: str) -> "Head":
        from exports.benchmark.records import Head

        return Head(
            label=self._model.label,
            spec=self._model.spec,
            variant=variant,
            model_sha256=facts.sha256,
            version=facts.version,
            base=facts.base,
            kinds=facts.kinds,
            load_seconds=facts.load_seconds,
            provenance=dict(facts.provenance),
            signature=self._model.signature,
        )

    def _through_frames(self, worker: "ExamineeWorker") -> str | None:
        work, failed_in_a_row = self._missing(), 0
        with progress(len(work), self._model.label) as bar:
            for frame_id, inquiries in work:
                said, reason = self._one_frame(worker, frame_id, inquiries)
                if reason is not None:
                    return reason
                failed_in_a_row = failed_in_a_row + 1 if all(one.error for one in said) else 0
                self._keep(frame_id, said)
                bar.update(1)
                if failed_in_a_row >= LONGEST_OPEN_FAILURES:
                    return f"{failed_in_a_row} frames in a row failed, the last one: {said[0].error}"
        return None

    def _one_frame(
        self, worker: "ExamineeWorker", frame_id: str, inquiries: "Sequence[tuple[str, Inquiry]]"
    ) -> "tuple[list[Said], str | None]":
        """The answers about one frame, or why the model is to be asked no further."""
        from backends.asking.worker import TookTooLongError
        from exports.benchmark.failures import ENDS_A_MODEL, kind_of_error

        try:
            said = worker.ask(self._of.load(frame_id), inquiries)
        except FrameError as error:
            said = _all_failed(inquiries, str(error), 0.0)
        except TookTooLongError as error:
            said = _all_failed(inquiries, str(error), self._of.limit_s)
        fatal = (one.error for one in said if one.error and kind_of_error(one.error) in ENDS_A_MODEL)
        return said, next(fatal, None)

    def _missing(self) -> Work:
        """What is to be asked, by frame, of all wordings together: the frame is opened once."""
        assert self._facts is not None
        runs = {variant: file.read() for variant, file in self._files.items()}
        work = []
        for frame_id in self._of.plan.frames:
            inquiries = [
                (variant, _inquiry(asked))
                for variant, run in runs.items()
                for asked in self._of.plan.questions
                if asked.kind in self._facts.kinds and (run is None or (frame_id, asked.name) not in run.answers)
            ]
            if inquiries:
                work.append((frame_id, inquiries))
        return work

    def _keep(self, frame_id: str, said: "Iterable[Said]") -> None:
        lines: dict[str, list[AnswerLine]] = {}
        for one in said:
            lines.setdefault(one.variant, []).append(self._line(frame_id, one))
        for variant, some in lines.items():
            self._files[variant].append(some)

    def _line(self, frame_id: str, said: "Said") -> "AnswerLine":
        from exports.benchmark.records import AnswerLine

        assert self._facts is not None
        return AnswerLine(
            model_sha256=self._facts.sha256,
            variant=said.variant,
            frame_id=frame_id,
            question=said.name,
            text=said.text,
            characters=said.characters,
            finish=said.finish,
            seconds=said.seconds,
            open_seconds=said.open_seconds,
            tokens_out=said.tokens_out,
            retries=said.retries,
            error=said.error,
            fields=None if said.fields is None else dict(said.fields),
            issues=said.issues,
            prediction=said.prediction,
        )

    def _end(self, reason: str | None, peak: Any) -> None:
        from exports.benchmark.records import Outcome

        for variant, file in self._files.items():
            outcome = Outcome(
                label=self._model.label,
                spec=self._model.spec,
                variant=variant,
                model_sha256=self._facts.sha256 if self._facts else None,
                reason=reason,
                peak_memory_mib=peak.memory_mib if peak else None,
                peak_accelerator_mib=peak.accelerator_mib if peak else None,
            )
            file.append([outcome])

    def _is_complete(self) -> bool:
        """Whether files that did not change since have answered everything; others are opened to see."""
        signature = self._model.signature
        runs = [file.read() for file in self._files.values()]
        return signature is not None and all(run is not None and self._has_all(run, signature) for run in runs)

    def _has_all(self, run: "Run", signature: str) -> bool:
        head, plan = run.head, self._of.plan
        if head is None or head.signature != signature:
            return False
        wanted = [asked.name for asked in plan.questions if asked.kind in head.kinds]
        return all((frame_id, name) in run.answers for frame_id in plan.frames for name in wanted)


def _inquiry(asked: "Asked") -> "Inquiry":
    from backends.asking.inquiries import Inquiry

    inquiry = Inquiry(asked.name, asked.kind, asked.prompt)
    return replace(inquiry, max_new_tokens=asked.max_new_tokens) if asked.max_new_tokens else inquiry


def _all_failed(inquiries: "Sequence[tuple[str, Inquiry]]", reason: str, seconds: float) -> "list[Said]":
    """An error for each question; what they took together is shared among them."""
    from backends.asking.inquiries import Said

    share = seconds / len(inquiries)
    return [Said(one.name, variant, finish="error", seconds=share, error=reason) for variant, one in inquiries]
