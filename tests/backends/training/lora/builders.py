"""Folders of conversations as `export conversations` writes them, about small made frames."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

from backends.engine import Answer, Phase, Question
from backends.local_vlm import LocalEngine
from backends.teachers.cache import Source, write_cache
from backends.teachers.teacher import TEACHERS
from backends.training.lora.request import LoraRequest
from tests.tiny_vlm import make_attentive

ANSWERS = {
    "interpret": '{"anatomical_structures": "fetal head", "image_quality": "not measured"}',
    "classify": '{"label": "BPD_PLANE"}',
    "detect": '[{"bbox_2d": [1, 20, 300, 1000], "label": "Brain"}]',
    "segment": '[{"bbox_2d": [1, 2, 3, 4], "label": "cardiac", "mask": [[1, 20], [300, 4], [56, 78]]}]',
    "keypoints": '[{"keypoints": [[1, 20, 2], [300, 4, 1]], "label": "NTKpoints"}]',
}
PROMPTS = {
    "interpret": "Describe this fetal ultrasound frame as a JSON object.",
    "classify": "Name its view.",
    "detect": "Draw a box around each structure.",
    "segment": "Draw an outline around each structure.",
    "keypoints": "Name the points.",
}
SIZES_WH = ((96, 64), (64, 64), (128, 96), (64, 96))  # three different numbers of patches


def a_line(number: int, task: str, **changes: Any) -> dict[str, Any]:
    image = f"images/{number:032x}.png"
    question = [{"type": "image", "image": image}, {"type": "text", "text": PROMPTS[task]}]
    line = {
        "id": f"{number:032x}-1",
        "task": task,
        "image": image,
        "frame_id": f"{number:032x}",
        "split": "train",
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": [{"type": "text", "text": ANSWERS[task]}]},
        ],
    }
    return line | changes


def with_answer(line: dict[str, Any], answer: str) -> dict[str, Any]:
    asked, _ = line["messages"]
    return line | {"messages": [asked, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]}


def write_conversations(folder: Path, lines: list[dict[str, Any]]) -> Path:
    """Write the lines, and an image of some size under every name that they give."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for line in lines:
        number = int(line["frame_id"], 16)
        width, height = SIZES_WH[number % len(SIZES_WH)]
        pixels = np.random.default_rng(number).integers(0, 256, (height, width), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / line["image"])
    (folder / "conversations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def some_lines(tasks: tuple[str, ...] = tuple(ANSWERS), count: int = 10) -> list[dict[str, Any]]:
    return [a_line(number, tasks[number % len(tasks)]) for number in range(count)]


def a_request(data: Path, model: Path, out: Path, **changes: Any) -> LoraRequest:
    """Few and short steps."""
    small: dict[str, Any] = {"steps": 4, "batch": 2, "accumulation": 1, "learning_rate": 5e-3}
    small |= {"checkpoint_every": 2, "gradient_checkpointing": False}
    return LoraRequest(**({"data": data, "model": str(model), "out": out} | small | changes))


def write_teacher_cache(path: Path, images: int, teachers: tuple[str, ...] = ("usf_mae", "ultra_fed_fm")) -> Path:
    """Random features of narrow teachers for the first `images` frames."""
    rng = np.random.default_rng(7)
    widths = {"fetal_clip": 64, "ultra_sam": 48, "usf_mae": 32, "ultra_fed_fm": 24}
    features = {
        (name, block): rng.standard_normal((images, widths[name]))
        for name in teachers
        for block in TEACHERS[name].blocks
    }
    sources = {name: a_source(name) for name in teachers}
    write_cache(path, [f"{number:032x}" for number in range(images)], features, sources)
    return path


def a_source(name: str, **changes: Any) -> Source:
    record = TEACHERS[name]
    facts = {
        "sha256": "0" * 64,
        "licence": record.licence,
        "non_commercial": record.non_commercial,
        "preprocessing": record.preprocessing,
        "image_size": record.image_size,
    }
    return Source(**(facts | changes))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def save_tied(folder: Path, checkpoint: Path) -> Path:
    """A copy of a checkpoint whose head is its embedding, as in the real 4B model."""
    shutil.copytree(checkpoint, folder)
    config = Qwen3_5Config.from_pretrained(checkpoint)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
    torch.manual_seed(0)
    model = Qwen3_5ForConditionalGeneration(config)
    make_attentive(model, 4.0)
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    model.save_pretrained(folder)
    return folder


def weights_in(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def answers_of(checkpoint: Path, adapter: Path | None, data: Path) -> list[Answer]:
    """What the engine, free to say anything, says of frame 1 when asked to interpret and to classify it."""
    engine = LocalEngine(str(checkpoint), str(adapter) if adapter else None, device="cpu")
    handle = engine.open([np.asarray(Image.open(data / "images" / f"{1:032x}.png"))])[0]
    return engine.ask(
        [(handle, Question(Phase(task), PROMPTS[task], None, 60)) for task in ("interpret", "classify")]
    )
