"""A folder of training conversations about made-up frames, as `export conversations` writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.phantom import PLANES


def an_answer(number: int) -> str:
    """One of the eight fields: a tiny network learns short answers fast."""
    return json.dumps({"imaging_plane": PLANES[number % 4]})


def a_picture(number: int) -> NDArray[np.uint8]:
    """Bright in one quarter: what a tiny network tells apart at once."""
    pixels = np.full((48, 64), 20, np.uint8)
    top, left = 24 * (number // 2 % 2), 32 * (number % 2)
    pixels[top : top + 24, left : left + 32] = 230
    return pixels


def a_line(image: str, task: str, answer: str, **more: Any) -> str:
    messages = [
        {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": "Describe it."}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    return json.dumps({"task": task, "image": image, "messages": messages, **more}) + "\n"


def write_conversations(folder: Path, count: int = 4) -> list[Path]:
    """Write `count` frames with an interpretation each; return the images."""
    (folder / "images").mkdir(parents=True)
    lines, paths = [], []
    for number in range(count):
        name = f"images/{number}.png"
        Image.fromarray(a_picture(number)).save(folder / name)
        lines.append(a_line(name, "interpret", an_answer(number), variant="all"))
        paths.append(folder / name)
    (folder / "conversations.jsonl").write_text("".join(lines))
    return paths
