"""What `--model` of a benchmark may name, made into choices of a backend."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.commands.models import chosen
from annotator.errors import InputError

if TYPE_CHECKING:
    from backends.opening import BackendChoice

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_MARKERS = ("config.json", "model.json")


@dataclass(frozen=True)
class Contestant:
    """One model of a benchmark: what the user wrote, how reports call it, and how it is opened."""

    spec: str
    label: str
    choice: "BackendChoice"

    def file_name(self, variant: str) -> str:
        """The name of its run file; what the user wrote is hashed in, for labels of folders may be equal."""
        short = re.sub(r"[^A-Za-z0-9._-]+", "-", self.label).strip("-.")[:60]
        return f"{short}-{hashlib.sha256(self.spec.encode()).hexdigest()[:6]}-{variant}.jsonl"

    @property
    def signature(self) -> str | None:
        """Changes with the options and the files of a local model; None where it must be opened to be known."""
        if self.choice.backend != "fada":
            return None
        digest = hashlib.sha256(self.choice.model_dump_json(exclude={"api_key"}).encode())
        for name in (self.choice.model, self.choice.adapter):
            for path in sorted(Path(name).rglob("*")) if name and Path(name).is_dir() else ():
                status = path.stat()
                digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def contestants(specs: Sequence[str], options: Mapping[str, Any]) -> list[Contestant]:
    """Return the models in their order; InputError for one that nobody knows, or that is named twice.

    A spec is a name of the catalog, a hub id, a folder, `BASE+ADAPTER` of these, `embedded` or `remote=URL#NAME`.
    """
    if not specs:
        raise InputError("name at least one model with --model")
    found = [Contestant(spec, *_choice(spec, options)) for spec in specs]
    seen: dict[Any, str] = {}
    for one in found:
        key = one.choice.model_dump_json(exclude={"api_key"})
        if key in seen:
            same = f"--model {one.spec}" if seen[key] == one.spec else f"--model {seen[key]} and --model {one.spec}"
            raise InputError(f"{same}: the same model twice; name it once")
        seen[key] = one.spec
    labels = Counter(one.label for one in found)
    return [replace(one, label=one.spec) if labels[one.label] > 1 else one for one in found]


def _choice(spec: str, options: Mapping[str, Any]) -> "tuple[str, BackendChoice]":
    if spec == "embedded":
        return spec, chosen({"backend": "embedded"})
    if spec.startswith("remote="):
        return _remote(spec, options)
    if Path(spec).is_dir():
        return Path(spec).resolve().name, _folder(spec, options)
    base, plus, adapter = spec.rpartition("+")
    if plus and (Path(base).is_dir() or _HUB_ID.fullmatch(base)):
        return _with_adapter(base, adapter, options)
    return _named(spec, options)


def _folder(spec: str, options: Mapping[str, Any]) -> "BackendChoice":
    """A checkpoint or a baseline, or weights of the embedded networks."""
    from backends.baselines.settings import is_captioner

    folder = Path(_model_folder(spec))
    is_embedded = not (folder / "config.json").is_file() and not is_captioner(folder)
    return chosen(
        {**({} if is_embedded else options), "backend": "embedded" if is_embedded else "fada", "model": spec}
    )


def _remote(spec: str, options: Mapping[str, Any]) -> "tuple[str, BackendChoice]":
    from urllib.parse import urlsplit

    from backends.remote.address import server_url

    url, _, name = spec.removeprefix("remote=").partition("#")
    if not (url and name):
        raise InputError(f"--model {spec}: write remote=URL#NAME, such as remote=http://127.0.0.1:8000/v1#qwen")
    checked = server_url(url, allow_upload=bool(options.get("allow_upload")))
    choice = chosen({**options, "backend": "remote", "url": checked, "model": name})
    return f"{name} at {urlsplit(checked).netloc}", choice


def _with_adapter(base: str, adapter: str, options: Mapping[str, Any]) -> "tuple[str, BackendChoice]":
    if not (Path(adapter).is_dir() or _HUB_ID.fullmatch(adapter)):
        raise InputError(
            f"{adapter}: no such folder of an adapter, and not a hub id, which looks like 'owner/name'"
        )
    model = _model_folder(base) if Path(base).is_dir() else base
    label = f"{Path(base).name}+{Path(adapter).name}"
    return label, chosen({**options, "backend": "fada", "model": model, "adapter": adapter})


def _model_folder(name: str) -> str:
    if not any((Path(name) / marker).is_file() for marker in _MARKERS):
        raise InputError(
            f"{name}: no model: neither config.json (a checkpoint) nor model.json (a baseline) is there"
        )
    return name


def _named(spec: str, options: Mapping[str, Any]) -> "tuple[str, BackendChoice]":
    from backends.catalog import choice_of, known, resolve
    from backends.remote.address import server_url

    entry = resolve(spec)
    if entry is None and _HUB_ID.fullmatch(spec):
        return spec, chosen({**options, "backend": "fada", "model": spec})
    if entry is None and (spec.startswith((".", "~")) or "/" in spec):
        raise InputError(f"{spec}: no such folder, and not a hub id, which looks like 'owner/name'")
    entry = entry or known(spec)
    choice = choice_of(entry)
    if "url" in choice:
        server_url(choice["url"], allow_upload=bool(options.get("allow_upload")))
    return entry.name, chosen({**options, **choice})
