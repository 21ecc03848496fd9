"""The local vision-language engine against a fresh processor call and generate() for every question.

python -m benchmarks.vlm_speed [--frames 8] [--baseline-frames 8] [--seed 0] [--threads 1]
python -m benchmarks.vlm_speed --device cuda --shape 4b

Weights are random (nothing here speaks of accuracy), the same on both sides, as are grammar, greedy decoding and
therefore the texts, which are compared. Four questions a frame, with answers about as long as FADA's: 230, 10, 100
and 280 tokens. Ours asks them in the two rounds in which FADA's phases depend on each other. On a CPU the clock is
this process's processor time; on a GPU it is wall time, and the split into parts is of the CPU side only.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.utils import logging as transformers_logging

from annotator.phantom import simulate_set
from backends.engine import Phase, Question
from backends.local_vlm import LocalEngine
from backends.vlm.grammar import SPACING
from backends.vlm.processor import ImageOnlyProcessor, chat, load_processor
from tests.tiny_vlm import save_model, tiny_config, train_tokenizer

SIZE_WH = (1024, 768)
FIELDS = (
    "anatomical_structures",
    "fetal_orientation",
    "imaging_plane",
    "biometric_measurements",
    "gestational_age",
    "image_quality",
    "normality_assessment",
    "clinical_recommendations",
)
SMALL = {  # 119 M: layers as those of Qwen3.5-0.8B, narrower and fewer
    "vocab_size": 16384,
    "hidden_size": 768,
    "intermediate_size": 2688,
    "num_hidden_layers": 8,
    "head_dim": 256,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "linear_num_key_heads": 12,
    "linear_num_value_heads": 12,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "initializer_range": 0.05,
}
SMALL_SIGHT = {"depth": 6, "hidden_size": 512, "intermediate_size": 2048, "num_heads": 8}
LARGE = {  # Qwen3.5-4B
    "vocab_size": 248320,
    "hidden_size": 2560,
    "intermediate_size": 9216,
    "num_hidden_layers": 32,
    "head_dim": 256,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "initializer_range": 0.05,
}
LARGE_SIGHT = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16}
SHAPES = {"small": (SMALL, SMALL_SIGHT), "4b": (LARGE, LARGE_SIGHT)}


def record(**fields: Any) -> dict[str, Any]:
    """An object with exactly these keys, in this order."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def series(item: dict[str, Any], count: int) -> dict[str, Any]:
    """An array of exactly `count` items."""
    return {"type": "array", "items": item, "minItems": count, "maxItems": count}


def questions() -> list[Question]:
    """The four phases; the schemas leave no choice of length."""
    words = {"type": "string", "pattern": "^[a-z ]{68}$"}
    coordinate = {"type": "integer", "minimum": 100, "maximum": 999}
    label = {"type": "string", "enum": ["Brain", "CSP", "cardiac", "thorax"]}
    box = series(coordinate, 4)
    outline = series(series(coordinate, 2), 24)
    view = {"type": "string", "enum": ["BPD_PLANE", "AC_PLANE", "FL_PLANE", "NO_PLANE"]}
    ask = "This is one frame of a fetal ultrasound examination. "
    return [
        Question(Phase.INTERPRET, ask + "Describe it field by field.", record(**dict.fromkeys(FIELDS, words)), 600),
        Question(Phase.CLASSIFY, ask + "Name its view.", record(label=view), 600),
        Question(Phase.DETECT, ask + "Box: Brain, CSP, LV.", series(record(bbox_2d=box, label=label), 3), 600),
        Question(
            Phase.SEGMENT, ask + "Outline: Brain.", series(record(bbox_2d=box, label=label, mask=outline), 1), 600
        ),
    ]


class Mask(LogitsProcessor):  # type: ignore[misc]
    """The plainest correct grammar for generate(): mask each step, and only end-of-text once it is complete."""

    def __init__(self, guide: Any, schema: Any, start: int, end: int) -> None:
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=SPACING)
        self.matcher = LLMatcher(guide, grammar)
        self.start, self.end = start, end

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores with what is not allowed at minus infinity."""
        if input_ids.shape[1] > self.start and not self.matcher.is_stopped():
            self.matcher.consume_token(int(input_ids[0, -1]))
        if self.matcher.is_stopped():
            only = torch.full_like(scores, -torch.inf)
            only[:, self.end] = 0
            return only
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, count=scores.shape[1], bitorder="little").view(np.bool_)
        return scores.masked_fill(torch.from_numpy(~allowed).to(scores.device), -torch.inf)


@dataclass
class Fresh:
    """The usual way: for every question the image is processed, encoded and prefilled again."""

    model: Any
    processor: ImageOnlyProcessor
    guide: Any

    @torch.inference_mode()
    def answer(self, pixels: np.ndarray, question: Question) -> str:
        """Return the text of one answer."""
        image = Image.fromarray(pixels).convert("RGB")
        batch = self.processor(text=[chat(self.processor, question.prompt)], images=[image], return_tensors="pt")
        start, end = batch["input_ids"].shape[1], self.processor.tokenizer.eos_token_id
        mask = Mask(self.guide, question.answer_schema, start, end)
        settings = GenerationConfig(
            max_new_tokens=question.max_new_tokens, do_sample=False, eos_token_id=end, pad_token_id=end
        )
        tokens = self.model.generate(
            **batch.to(self.model.device), generation_config=settings, logits_processor=LogitsProcessorList([mask])
        )
        return str(self.processor.tokenizer.decode(tokens[0, start:], skip_special_tokens=True))


def watch_parts(model: Any, spent: dict[str, float]) -> None:
    """Add up the time of the vision tower, of prefills and of decoding steps of a model that is used plainly."""
    begun: list[float] = []

    def before(*_: Any) -> None:
        begun.append(time.process_time())

    def after(name: str | None) -> Callable[..., None]:
        def note(_module: Any, _args: Any, kwargs: dict[str, Any], _out: Any) -> None:
            part = name or ("decode" if kwargs["inputs_embeds"].shape[1] == 1 else "prefill")
            spent[part] = spent.get(part, 0.0) + time.process_time() - begun.pop()

        return note

    for module, name in ((model.model.visual, "vision"), (model.model.language_model, None)):
        module.register_forward_pre_hook(before)
        module.register_forward_hook(after(name), with_kwargs=True)


def ask_all(engine: LocalEngine, frames: list[np.ndarray]) -> list[list[str]]:
    """Put the four questions about frames to the engine, in two rounds; texts by frame and question."""
    first_round, second_round = questions()[:2], questions()[2:]
    handles = engine.open(frames)
    texts: list[list[str]] = [[] for _ in frames]
    for asked in (first_round, second_round):
        answers = engine.ask([(handle, question) for handle in handles for question in asked])
        for place, answer in enumerate(answers):
            assert answer.error is None, answer.error
            texts[place // len(asked)].append(answer.text)
    for handle in handles:
        engine.close(handle)
    return texts


def make_checkpoint(folder: Path, shape: str, seed: int) -> int:
    """Write random weights of a shape; return how many."""
    tokenizer = train_tokenizer()
    body, sight = SHAPES[shape]
    config = tiny_config(tokenizer, **body)
    for name, value in (sight | {"out_hidden_size": body["hidden_size"], "num_position_embeddings": 2304}).items():
        setattr(config.vision_config, name, value)
    config.text_config.rope_parameters["mrope_section"] = [11, 11, 10]
    dtype = torch.bfloat16 if shape == "4b" else torch.float32  # the real 4B is published so
    return save_model(folder, config, tokenizer, seed, mixing=1.0, dtype=dtype)


def measure(clock: Callable[[], float], work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that some work takes, and what it returns."""
    begun = clock()
    result = work()
    return clock() - begun, result


def show(name: str, seconds: float, frames: int, spent: dict[str, float]) -> None:
    """Print one side: seconds a frame and the shares of its parts."""
    parts = {part: value for part, value in spent.items() if value > 0}
    parts["other"] = max(0.0, seconds - sum(parts.values()))
    shares = ", ".join(f"{part} {value / frames:.2f}" for part, value in parts.items())
    print(f"{name:28} {seconds / frames:8.2f} s a frame   ({shares})")


def main() -> None:
    """Run both sides and print their seconds, parts and ratios."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=8, help="frames in the batch")
    options.add_argument("--baseline-frames", type=int, help="frames that the plain side is run on; all by default")
    options.add_argument("--device", default="cpu")
    options.add_argument("--shape", choices=sorted(SHAPES), default="small")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(chosen.threads)

    def clock() -> float:
        if chosen.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = make_checkpoint(folder, chosen.shape, chosen.seed)
        engine = LocalEngine(str(folder), device=chosen.device)
        processor = load_processor(folder, "qwen3_5")
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=engine.dtype).to(chosen.device).eval()
    guide = llguidance.hf.from_tokenizer(
        processor.tokenizer, n_vocab=model.config.text_config.vocab_size, eos_token=processor.tokenizer.eos_token_id
    )
    fresh = Fresh(model, processor, guide)
    frames = [
        np.asarray(Image.fromarray(phantom.pixels).convert("L").resize(SIZE_WH))
        for phantom in simulate_set(chosen.frames, seed=chosen.seed)
    ]
    compare(engine, fresh, frames, chosen.baseline_frames or chosen.frames, clock, count)


def compare(
    engine: LocalEngine,
    fresh: Fresh,
    frames: list[np.ndarray],
    baseline_frames: int,
    clock: Callable[[], float],
    count: int,
) -> None:
    """Run the plain side frame by frame, ours for one frame and for all at once, and print the ratios."""
    print(f"{count / 1e6:.0f} M parameters, {SIZE_WH[0]}x{SIZE_WH[1]} px, {engine.model.settings['precision']}")
    fresh.answer(frames[0], questions()[1])  # warm up
    ask_all(engine, frames[:1])
    plain_spent: dict[str, float] = {}
    watch_parts(fresh.model, plain_spent)
    plain_s, plain_texts = measure(
        clock, lambda: [[fresh.answer(frame, one) for one in questions()] for frame in frames[:baseline_frames]]
    )
    show("fresh generate()", plain_s, baseline_frames, plain_spent)
    sizes = [len(fresh.processor.tokenizer(text)["input_ids"]) for text in plain_texts[0]]
    print(f"{'':28} answers of {', '.join(str(size) for size in sizes)} tokens")
    for name, some in (("ours, one frame", frames[:1]), (f"ours, {len(frames)} frames at once", frames)):
        engine.reset_spent()
        ours_s, texts = measure(clock, lambda some=some: ask_all(engine, some))
        show(name, ours_s, len(some), dict(engine.spent))
        both = min(len(texts), baseline_frames)
        same = sum(
            a == b
            for ours, plain in zip(texts, plain_texts, strict=False)
            for a, b in zip(ours, plain, strict=True)
        )
        ratio = (plain_s / baseline_frames) / (ours_s / len(some))
        print(f"{'':28} {ratio:.2f} times less; {same} of {4 * both} texts equal")


if __name__ == "__main__":
    main()
