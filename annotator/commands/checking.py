"""`models check`: whether a model works here, how fast, and in how much memory."""

import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotator.cli import Result
from annotator.commands.models import chosen, open_backend
from annotator.commands.workspace import say
from annotator.frames import FrameFacts, make_frame
from annotator.phantom import simulate_frame
from annotator.schema import LoadedFrame, Prediction
from annotator.settings import read_settings


def check_model(workspace: Path, name: str | None, choice: Mapping[str, Any]) -> Result:
    """Load a model and run one simulated frame through all phases; exit 1 where a phase gave nothing usable."""
    backend = chosen(_named(name, choice))
    say(f"loading {backend.model or backend.backend}")
    begun = time.perf_counter()
    model = open_backend(backend, read_settings())
    loaded_s = time.perf_counter() - begun
    frame = _simulated()
    begun = time.perf_counter()
    (prediction,) = model.predict([frame])
    document: dict[str, Any] = {
        "model_version": model.model.name,
        "base": model.model.base,
        "load_seconds": round(loaded_s, 2),
        "frame_seconds": round(time.perf_counter() - begun, 2),
        "peak_memory_mib": _peak_memory_mib(),
        "phases": _phases(prediction),
        "plane": prediction.plane,
        "findings": len(prediction.findings),
    }
    works = all(phase["works"] for phase in document["phases"].values())
    return Result(document, _as_text(document), exit_code=0 if works else 1)


def _named(name: str | None, choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """NAME is a backend, a model of the catalog, or else what the fada backend is to load."""
    from backends.catalog import choice_of, resolve
    from backends.opening import NAMES

    if name is None:
        return choice
    if name in NAMES:
        return {**choice, "backend": name}
    entry = None if "/" in name or Path(name).exists() else resolve(name)
    if entry is not None:
        return {**choice, **choice_of(entry, url=choice.get("url"))}
    return {**choice, "backend": "fada", "model": name}


def _simulated() -> LoadedFrame:
    pixels = simulate_frame("Trans-thalamic", seed=0).pixels
    return LoadedFrame(make_frame(pixels, "simulated", FrameFacts(simulated=True)), pixels)


def _phases(prediction: Prediction) -> dict[str, dict[str, Any]]:
    names = prediction.seconds.keys()
    issues = {name: [item.reason for item in prediction.issues if item.phase == name] for name in names}
    usable = {
        "interpret": prediction.interpretation is not None,
        "classify": prediction.plane is not None,
    }
    return {
        name: {
            "seconds": round(prediction.seconds[name], 2),
            "works": usable.get(name, "answer_failed" not in issues[name]),
            "issues": sorted(set(issues[name])),
        }
        for name in names
    }


def _peak_memory_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def _as_text(document: Mapping[str, Any]) -> str:
    lines = [
        f"{document['model_version']} ({document['base']}): loaded in {document['load_seconds']} s, "
        f"one frame in {document['frame_seconds']} s, peak memory {document['peak_memory_mib']} MiB"
    ]
    for name, phase in document["phases"].items():
        state = "works" if phase["works"] else "gave nothing usable"
        issues = f" ({', '.join(phase['issues'])})" if phase["issues"] else ""
        lines.append(f"  {name:10} {phase['seconds']:7.2f} s  {state}{issues}")
    lines.append(f"  plane {document['plane']}, {document['findings']} findings")
    return "\n".join(lines)
