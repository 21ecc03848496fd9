"""What a finished training leaves: adapter, training.json, MODEL_CARD.md. All of it, or nothing that loads."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotator.errors import InputError
from annotator.files import write_atomically
from backends.training.lora.card import model_card
from backends.training.lora.student import Student, save_adapter

ADAPTER, CONFIG = "adapter_model.safetensors", "adapter_config.json"
CURVE, CARD = "training.json", "MODEL_CARD.md"


def read_finished(out: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return training.json of a training that is finished, None where there is none.

    InputError where `out` holds an adapter that was trained with other settings or data.
    """
    if not (out / CONFIG).is_file():
        return None
    try:
        described: dict[str, Any] = json.loads((out / CURVE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{out} holds an adapter of other making; train into another folder") from None
    if described.get("settings") != json.loads(json.dumps(dict(settings))):
        raise InputError(f"{out} holds an adapter trained with other settings or data; train into another folder")
    return described


def write_results(student: Student, out: Path, described: dict[str, Any]) -> dict[str, Any]:
    """Write all files, adapter_config.json last: without it nothing takes the folder for an adapter.

    Returns training.json. InputError where the disk does not take it.
    """
    part = out / ".adapter.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        described = described | {"trained": save_adapter(student, part)}
        write_atomically(out / ADAPTER, (part / ADAPTER).read_bytes())
        write_atomically(out / CURVE, (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode())
        write_atomically(out / CARD, model_card(described).encode())
        write_atomically(out / CONFIG, (part / CONFIG).read_bytes())
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}; make room, run this again") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return described
