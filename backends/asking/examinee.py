"""A model that is measured: asked about one frame after another, in several wordings, everything timed.

Each question is put by itself, so that its seconds are its own. What a model says too much is cut, and told.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from annotator.errors import AnnotatorError, BackendError
from annotator.schema import Backend, LoadedFrame, ModelVersion, Prediction
from backends.asking.inquiries import MODALITY, MOST_CHARACTERS, PLAIN, Facts, Inquiry, Said, named_modality
from backends.engine import Answer, Finish, Phase, Question
from backends.fada import FadaBackend
from backends.opening import BackendChoice, open_backend
from backends.parsing import parse_interpretation
from backends.prompts import question


class Examinee:
    """A loaded model under questions."""

    def __init__(self, choice: BackendChoice, *, threads: int, sentence: str) -> None:
        """Load the model; whatever is amiss is raised. `sentence` names the modality in that variant."""
        begun = time.perf_counter()
        self._backend = open_backend(choice, threads=threads)
        self._by_variant: dict[str, Backend] = {PLAIN: self._backend}
        self._sentence = sentence
        if isinstance(self._backend, FadaBackend):
            profile = named_modality(self._backend.profile, sentence)
            self._by_variant[MODALITY] = FadaBackend(
                self._backend.engine, profile, name=self._backend.name, asks_keypoints=choice.keypoints
            )
        self.facts = self._facts(time.perf_counter() - begun)

    def ask(self, loaded: LoadedFrame, inquiries: Sequence[tuple[str, Inquiry]]) -> list[Said]:
        """Put (variant, inquiry) pairs about one frame; one that fails is a Said with an error.

        BackendError where memory runs out: then nothing that comes later can be trusted to be asked alike.
        """
        handle, open_seconds, error = self._shown(loaded, inquiries)
        said = []
        for variant, inquiry in inquiries:
            if error is not None and inquiry.kind != "phases":
                said.append(Said(inquiry.name, variant, finish=Finish.ERROR.value, error=error))
            else:
                said.append(self._guarded(loaded, handle, variant, inquiry, open_seconds))
        if handle is not None and isinstance(self._backend, FadaBackend):
            self._backend.engine.close(handle)
        return said

    def _shown(
        self, loaded: LoadedFrame, inquiries: Sequence[tuple[str, Inquiry]]
    ) -> tuple[Any, float, str | None]:
        """Open the frame for the questions that are put to the engine itself."""
        if not isinstance(self._backend, FadaBackend) or all(one.kind == "phases" for _, one in inquiries):
            return None, 0.0, None
        begun = time.perf_counter()
        try:
            (handle,) = self._backend.engine.open([loaded.pixels])
        except Exception as error:  # a model's own code may raise anything
            return None, 0.0, _reason(error)
        return handle, time.perf_counter() - begun, None

    def _guarded(
        self, loaded: LoadedFrame, handle: Any, variant: str, inquiry: Inquiry, open_seconds: float
    ) -> Said:
        begun = time.perf_counter()
        try:
            if inquiry.kind == "phases":
                return _as_said(inquiry, variant, self._by_variant[variant].predict([loaded])[0], begun)
            return self._answered(handle, variant, inquiry, open_seconds)
        except Exception as error:  # a model's own code may raise anything; memory that ran out is told apart
            seconds = time.perf_counter() - begun
            return Said(inquiry.name, variant, finish=Finish.ERROR.value, seconds=seconds, error=_reason(error))

    def _answered(self, handle: Any, variant: str, inquiry: Inquiry, open_seconds: float) -> Said:
        backend = self._by_variant[variant]
        assert isinstance(backend, FadaBackend)
        if inquiry.kind == "free":
            named = f"{self._sentence}\n{inquiry.words}" if variant == MODALITY else inquiry.words
            asked = Question(Phase.INTERPRET, named, None, inquiry.max_new_tokens)
        else:
            asked = question(backend.profile, Phase.INTERPRET)
        begun = time.perf_counter()
        (answer,) = backend.engine.ask([(handle, asked)])
        said = _cut(inquiry.name, variant, answer, time.perf_counter() - begun, open_seconds)
        return said if inquiry.kind == "free" else _with_fields(said, answer)

    def _facts(self, load_seconds: float) -> Facts:
        model, backend = self._backend.model, self._backend
        if isinstance(backend, FadaBackend):
            engine = backend.engine
            told = {**engine.provenance, "profile_sha256": backend.profile.content_hash, **_plain(model)}
            return Facts(
                version=engine.model.name,
                base=engine.model.base,
                sha256=engine.model.content_hash,
                load_seconds=load_seconds,
                kinds=("fields", "free", "phases"),
                variants=(PLAIN, MODALITY),
                provenance=told,
            )
        return Facts(model.name, model.base, model.content_hash, load_seconds, ("phases",), (PLAIN,))


def _plain(model: ModelVersion) -> dict[str, Any]:
    kept = ("precision", "load_in_4bit", "profile", "server_version", "image_max_side_px")
    return {name: model.settings[name] for name in kept if name in model.settings}


def _reason(error: Exception) -> str:
    """What to keep of an error; memory that ran out is raised anew, for it ends the model's run."""
    if isinstance(error, MemoryError | RuntimeError):
        from backends.vlm.devices import NO_MEMORY, is_out_of_memory

        if is_out_of_memory(error):
            raise BackendError(NO_MEMORY) from error
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, AnnotatorError) else f"{type(error).__name__}: {said}"


def _cut(name: str, variant: str, answer: Answer, seconds: float, open_seconds: float) -> Said:
    return Said(
        name=name,
        variant=variant,
        text=_kept(answer.text),
        characters=len(answer.text),
        finish=answer.finish.value,
        seconds=seconds,
        open_seconds=open_seconds,
        tokens_out=None if answer.tokens is None else len(answer.tokens),
        retries=answer.retries,
        error=answer.error,
    )


def _kept(text: str) -> str:
    return text[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _with_fields(said: Said, answer: Answer) -> Said:
    interpretation, issues = parse_interpretation(answer)
    fields = None if interpretation is None else interpretation.model_dump()
    reasons = tuple(dict.fromkeys(issue.reason for issue in issues))
    return replace(said, fields=fields, issues=reasons)


def _as_said(inquiry: Inquiry, variant: str, prediction: Prediction, begun: float) -> Said:
    longest = max((len(text) for text in prediction.raw_texts.values()), default=0)
    raw_texts = {phase: _kept(text) for phase, text in prediction.raw_texts.items()}
    interpretation = prediction.interpretation
    return Said(
        name=inquiry.name,
        variant=variant,
        characters=longest,
        seconds=time.perf_counter() - begun,
        fields=None if interpretation is None else interpretation.model_dump(),
        issues=tuple(dict.fromkeys(f"{issue.phase}: {issue.reason}" for issue in prediction.issues)),
        prediction=prediction.model_copy(update={"raw_texts": raw_texts}),
    )
