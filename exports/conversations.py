"""Records -> training conversations, one JSON object a line: a frame, a question about it, and the answer.

Questions and answers are made by whoever knows the model's language and are given as a function. Each line names
its task, frame, subject and split, so that a trainer can mix tasks and keep subjects apart.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from annotator.errors import InputError
from annotator.files import atomic_writer
from exports.entries import Entry, ImagePaths, path_finder
from exports.images import ImageFolder

FILE_NAME = "conversations.jsonl"


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer; `variant` tells questions of one task apart, such as the fields asked for."""

    task: str
    prompt: str
    answer: str
    variant: str = ""
    structures: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConversationsSummary:
    """What an export wrote: lines by task."""

    path: Path
    images: int
    lines: dict[str, int]


def export_conversations(
    out: Path,
    entries: Iterable[Entry],
    image_paths: ImagePaths,
    turns_of: Callable[[Entry], Iterable[Turn]],
    *,
    advance: Callable[[], object] = lambda: None,
) -> ConversationsSummary:
    """Write `out/images/` and `out/conversations.jsonl`, the latter whole or not at all.

    A frame about which nothing can be asked is left out. Raises InputError where `out` cannot be written.
    """
    path_of, lines, images = path_finder(image_paths), Counter[str](), 0
    try:
        folder = ImageFolder(out / "images")
        with atomic_writer(out / FILE_NAME) as stream:
            for entry in entries:
                written = list(_lines(entry, turns_of(entry)))
                if written:
                    folder.add(path_of(entry.frame.frame_id))
                    images += 1
                for line in written:
                    stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                    lines[line["task"]] += 1
                advance()
        folder.drop_others()
    except OSError as error:
        raise InputError(f"cannot write the export to {out}: {error.strerror or error}") from error
    return ConversationsSummary(out, images, dict(lines))


def _lines(entry: Entry, turns: Iterable[Turn]) -> Iterator[dict[str, Any]]:
    frame = entry.frame
    image = f"images/{frame.frame_id}.png"
    about = {
        "image": image,
        "width": frame.width,
        "height": frame.height,
        "frame_id": frame.frame_id,
        "source_file": frame.source_file,
        "source": frame.source,
        "site": frame.site,
        "subject": frame.subject,
        "group": frame.group,
        "split": frame.split,
        "simulated": frame.simulated,
        "said_by": entry.said_by,
        "record_id": entry.record_id,
    }
    for number, turn in enumerate(turns, 1):
        yield {
            "id": f"{frame.frame_id}-{number}",
            "task": turn.task,
            "variant": turn.variant,
            "structures": turn.structures,
            **about,
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "image": image}, {"type": "text", "text": turn.prompt}],
                },
                {"role": "assistant", "content": [{"type": "text", "text": turn.answer}]},
            ],
        }
