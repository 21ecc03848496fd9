"""Vision-language models in this process: transformers, an optional LoRA adapter, answers that fit their schema.

A frame is encoded and prefilled once; every question about it pays only for its own text and its answer. Questions
are answered in batches, and tokens that a schema forces need no pass of their own. In fp32 a free answer is that of
a fresh `generate()`; in bf16 and fp16 the same up to near-ties, because sums are taken in another order.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import BackendError
from annotator.schema import ModelVersion
from backends.engine import Answer, Finish, Question
from backends.vlm import devices, loading
from backends.vlm.drafts import Draft, OpenFrame
from backends.vlm.grammar import Grammars
from backends.vlm.plain import PlainWriter
from backends.vlm.prefix import PrefixStore
from backends.vlm.processor import load_processor, to_image
from backends.vlm.shared import FAMILIES, SharedPrefixWriter


class LocalEngine:
    """An `Engine` over a model in this process. One thread may use it at a time."""

    def __init__(
        self,
        model: str,
        adapter: str | None = None,
        *,
        revision: str | None = None,
        cache: Path | None = None,
        device: str = "auto",
        precision: devices.Precision = "auto",
        load_in_4bit: bool = False,
        merge: bool = True,
        constrained: bool = True,
        temperature: float | None = None,
        seed: int = 0,
        image_max_side_px: int = 1024,
        max_states_mib: int = 2048,
        max_rows: int = 16,
        max_frames: int = 4,
    ) -> None:
        """Load a model and an adapter, each a folder or hub id; BackendError says in one line what is amiss.

        `merge` False keeps the adapter beside the weights (slower); 4-bit weights are never merged into.
        `temperature` None is greedy, else `seed` decides what is drawn. `max_states_mib` bounds the kept states of
        open frames (75 MiB each for the 4B model at 1024x768 px), `max_rows` the questions that are answered at
        once, `max_frames` the frames that are encoded at once.
        """
        placement = devices.choose_placement(device, precision)
        base = loading.find(model, revision=revision, cache=cache)
        lora = loading.find(adapter, adapter=True, cache=cache) if adapter else None
        family = loading.model_type(base)
        processor = load_processor(base.folder, family)
        network = loading.load_model(base, placement, load_in_4bit=load_in_4bit)
        loading.check_tokenizer(base, network, processor)
        if lora is not None:
            network = loading.add_adapter(network, base, lora, merge=merge and not load_in_4bit)
        self._ends = loading.end_tokens(network, processor.tokenizer)
        self._grammars = Grammars(processor.tokenizer, network.get_output_embeddings().out_features, self._ends)
        self._writer: SharedPrefixWriter | PlainWriter
        if family in FAMILIES:
            prefixes = PrefixStore(max_states_mib)
            self._writer = SharedPrefixWriter(network, processor, prefixes, max_frames, temperature)
        else:
            self._writer = PlainWriter(network, processor, temperature)
        self._constrained = constrained
        self._seed = seed
        self._image_max_side_px = image_max_side_px
        self._batches = devices.Halving(max_rows)
        self._frames: dict[int, OpenFrame] = {}
        self._opened = 0
        self.model = _version(base, lora, {"precision": str(placement.dtype), "load_in_4bit": load_in_4bit})
        self.dtype = placement.dtype
        self.provenance: Mapping[str, str | int | float | None] = {
            "model_sha256": base.sha256,
            "adapter_sha256": lora.sha256 if lora else None,
            "seed": None if temperature is None else seed,
            "decoding": _decoding(temperature, constrained),
        }

    def reset_spent(self) -> None:
        """Start to count anew."""
        self._writer.watch.seconds.clear()

    @property
    def spent(self) -> Mapping[str, float]:
        """Processor seconds so far, by what they were spent on."""
        return self._writer.watch.seconds

    def open(self, pixels: Sequence[NDArray[np.uint8]]) -> list[int]:
        """Take in frames and encode them; FrameError where one cannot be shown to the model."""
        frames = [
            OpenFrame(
                self._opened + place,
                to_image(one, self._image_max_side_px, f"frame {place + 1} of {len(pixels)}"),
            )
            for place, one in enumerate(pixels)
        ]
        self._writer.encode(frames)
        self._opened += len(frames)
        self._frames.update((frame.number, frame) for frame in frames)
        return [frame.number for frame in frames]

    def ask(self, questions: Sequence[tuple[int, Question]]) -> list[Answer]:
        """Answer questions about open frames, in order; one that fails is an Answer with an `error`."""
        for handle, _ in questions:
            if handle not in self._frames:
                raise BackendError(f"frame {handle} is not open")
        answers: list[Answer] = []
        while len(answers) < len(questions):
            rest = questions[len(answers) :]
            try:
                for answer in self._batches.run(rest, self._answer):
                    answers.append(answer)  # those before a failure are kept
            except BackendError as error:
                answers.append(Answer("", Finish.ERROR, 0.0, error=str(error)))
        return answers

    def close(self, handle: int) -> None:
        """Let go of a frame; one that is not open is no error."""
        frame = self._frames.pop(handle, None)
        if frame is not None:
            self._writer.drop(frame)

    def _answer(self, questions: Sequence[tuple[int, Question]]) -> list[Answer]:
        frames = [self._frames[handle] for handle, _ in questions]
        drafts = [self._draft(question) for _, question in questions]
        self._writer.write(frames, drafts)
        return [draft.answer(self._grammars) for draft in drafts]

    def _draft(self, question: Question) -> Draft:
        asked = self._writer.asked(question.prompt)
        guided = self._constrained and question.answer_schema is not None
        try:
            guide = self._grammars.guide(question.answer_schema or {}) if guided else None
        except BackendError as error:
            draft = Draft(question, asked, None, self._ends, self._seed)
            draft.fail(str(error))
            return draft
        return Draft(question, asked, guide, self._ends, self._seed)


def _decoding(temperature: float | None, constrained: bool) -> str:
    choice = "greedy" if temperature is None else f"sampled, temperature {temperature:g}"
    return f"{choice}, {'constrained by schema' if constrained else 'free'}"


def _version(base: loading.Source, lora: loading.Source | None, settings: dict[str, Any]) -> ModelVersion:
    """Name the weights, so that equal names mean equal weights."""
    content = hashlib.sha256(f"{base.sha256} {lora.sha256 if lora else ''}".encode()).hexdigest()
    label = Path(lora.name if lora else base.name).name.lower()
    return ModelVersion(
        name=f"{label}-{content[:12]}",
        backend="local_vlm",
        base=base.name,
        content_hash=content,
        settings=settings
        | {
            "base": base.name,
            "base_sha256": base.sha256,
            "adapter": lora.name if lora else None,
            "adapter_sha256": lora.sha256 if lora else None,
        },
    )
