"""Published checkpoint files, read strictly: the right container, every key of the encoder once, the rest named.

A load that is not strict takes the wrong container without a word and leaves a network of random weights.
"""

import argparse
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from annotator.errors import BackendError
from backends.teachers.teacher import Architecture, TeacherRecord

State = dict[str, Tensor]
PARTS = ("weight", "bias")
_NAMED = 4


@dataclass(frozen=True)
class Layout:
    """One checkpoint format and the network that takes it.

    `shapes` gives every key of the encoder; `leftovers` names, by patterns, the groups of other keys that a
    published file holds; `convert` renames an encoder's keys, taking each out of what it is given; `blocks` are the
    layers that features come from and `patch_tokens` turns an output of theirs into (images, tokens, width).
    """

    shapes: Callable[[Architecture], dict[str, tuple[int, ...]]]
    leftovers: Mapping[str, str]
    convert: Callable[[State, Architecture], State]
    build: Callable[[Architecture], nn.Module]
    blocks: Callable[[Any], nn.ModuleList]
    patch_tokens: Callable[[Tensor], Tensor]
    images_at_once: int = 8
    check_beside: Callable[[Path, Architecture], None] = lambda path, architecture: None


def read_encoder(path: Path, record: TeacherRecord, layout: Layout) -> tuple[State, dict[str, tuple[str, ...]]]:
    """The encoder's tensors under their published names, float32, and the names of all others by group."""
    state = _without_prefix(_unpack(_read(path), path, record))
    shapes = layout.shapes(record.architecture)
    if missing := [name for name in shapes if name not in state]:
        raise BackendError(f"{path} is no file of {record.title}: it lacks {_some(missing)}")
    for name, shape in shapes.items():
        if tuple(state[name].shape) != shape:
            found = _size(tuple(state[name].shape))
            raise BackendError(f"{path} is no file of {record.title}: {name} is {found}, not {_size(shape)}")
    others = _grouped([name for name in state if name not in shapes], layout.leftovers)
    if unknown := others.pop("", ()):
        raise BackendError(f"{path} holds what no published file of {record.title} holds: {_some(unknown)}")
    return {name: _as_float(state[name], name, path) for name in shapes}, others


def load_encoder(encoder: State, architecture: Architecture, layout: Layout, path: Path) -> nn.Module:
    """The network with these weights, every one of them used once."""
    waiting = dict(encoder)
    converted = layout.convert(waiting, architecture)
    module = layout.build(architecture).eval().requires_grad_(False)
    try:
        module.load_state_dict(converted, strict=True)
    except RuntimeError as error:
        raise BackendError(
            f"{path}: transformers names its layers otherwise: {' '.join(str(error).split())}"
        ) from None
    if waiting:
        raise BackendError(f"{path}: weights were left unused: {_some(list(waiting))}")
    return module


def sha256_of(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(path: Path) -> Any:
    if not path.is_file():
        raise BackendError(f"{path}: no such file; docs/teachers.md says where to get it")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with _inert_objects():
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except MemoryError:
        raise
    except Exception as error:  # on a damaged or hostile file the readers raise anything
        raise BackendError(f"{path} cannot be read: {_reason(error)}") from None


class _Inert:
    """Stands for training records inside a checkpoint: their content is kept as data, none of their code runs."""


@contextmanager
def _inert_objects() -> Iterator[None]:
    """Let in what published files hold beside tensors: UltraFedFM its arguments, mmengine its loss history."""
    from numpy._core import multiarray

    arrays: list[Any] = [np.ndarray, np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        arrays += [(multiarray._reconstruct, f"{module}._reconstruct"), (multiarray.scalar, f"{module}.scalar")]
    history = (_Inert, "mmengine.logging.history_buffer.HistoryBuffer")
    with torch.serialization.safe_globals([argparse.Namespace, history, *arrays]):
        yield


def _reason(error: Exception) -> str:
    """The first line of what torch says; an object that is not let in is named."""
    text = str(error)
    if found := re.search(r"GLOBAL (\S+) was not an allowed global", text) or re.search(r"global (\S+)", text):
        return (
            f"it holds an object of {found.group(1)}, whose code is not run; "
            "where you trust it, save its tensors as .safetensors"
        )
    return " ".join(text.split())[:160] or type(error).__name__


def _unpack(raw: Any, path: Path, record: TeacherRecord) -> Mapping[str, Tensor]:
    if not isinstance(raw, Mapping) or not raw:
        raise BackendError(f"{path} is no file of {record.title}: it holds no state dict")
    if path.suffix == ".safetensors":
        return raw
    for key in record.containers:
        inside = raw.get(key) if key else raw
        if isinstance(inside, Mapping) and inside and all(isinstance(one, Tensor) for one in inside.values()):
            return inside
    wanted = " or ".join(f"weights under {key!r}" if key else "a bare state dict" for key in record.containers)
    raise BackendError(
        f"{path} is no file of {record.title}: expected {wanted}, found {_some(list(map(str, raw)))}"
    )


def _without_prefix(state: Mapping[str, Tensor]) -> State:
    """Strip `module.` where every key begins with it, and only there: it is also a part of honest names."""
    if all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): value for name, value in state.items()}
    return dict(state)


def _grouped(names: list[str], groups: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Names by the group whose pattern they match in full; those of no group under ""."""
    found: dict[str, list[str]] = {}
    for name in names:
        group = next((group for group, pattern in groups.items() if re.fullmatch(pattern, name)), "")
        found.setdefault(group, []).append(name)
    return {group: tuple(members) for group, members in found.items()}


def _as_float(value: Tensor, name: str, path: Path) -> Tensor:
    if not value.is_floating_point():
        raise BackendError(f"{path}: {name} holds {value.dtype}, not floating-point weights")
    value = value.detach().to(torch.float32)
    if not torch.isfinite(value).all():
        raise BackendError(f"{path}: {name} holds values that are not finite; get the file again")
    return value


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def take_renamed(state: State, renamed: Mapping[str, str]) -> State:
    """Take weight and bias of each layer out of `state`, under the layer's new name."""
    return State({f"{new}.{part}": state.pop(f"{old}.{part}") for old, new in renamed.items() for part in PARTS})


def take_thirds(state: State, packed: str, apart: str) -> State:
    """Take q, k and v, three equal parts, out of `state`; names hold {part}, and `apart` {letter} too."""
    return State(
        {
            apart.format(letter=letter, part=part): piece
            for part in PARTS
            for letter, piece in zip("qkv", state.pop(packed.format(part=part)).chunk(3), strict=True)
        }
    )
