"""From a folder or hub id to a model that can be asked, with every fault told in one line."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import AutoConfig, AutoModelForImageTextToText, BitsAndBytesConfig

from annotator.errors import BackendError
from backends.vlm.devices import Placement

WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
IDENTITY = ("*.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "adapter_config.json")
BASE_FILES = "config.json, *.safetensors, tokenizer.json, tokenizer_config.json, preprocessor_config.json"
ADAPTER_FILES = "adapter_config.json, adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model is: `name` is what the user wrote, `folder` holds the checked files."""

    name: str
    folder: Path
    sha256: str


def find(name: str, *, adapter: bool = False, revision: str | None = None, cache: Path | None = None) -> Source:
    """Return a model or adapter from a folder or the hub, its files checked; BackendError says what is amiss.

    A hub id is looked for in the cache first; only where that is incomplete is the network used. Downloads show
    their progress on stderr and go on where they were interrupted.
    """
    check = check_adapter_files if adapter else check_base_files
    if Path(name).is_dir():
        folder = Path(name)
        check(folder)
    elif name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise BackendError(f"{name}: no such folder, and not a hub id, which looks like 'owner/name'")
    else:
        folder = _from_hub(name, revision, cache, ADAPTER_FILES if adapter else BASE_FILES, check)
    return Source(name, folder, content_hash(folder))


def _from_hub(name: str, revision: str | None, cache: Path | None, files: str, check: Any) -> Path:
    options: dict[str, Any] = {"revision": revision, "cache_dir": cache, "allow_patterns": list(WANTED)}
    try:
        folder = Path(snapshot_download(name, local_files_only=True, **options))
        check(folder)
        return folder
    except (LocalEntryNotFoundError, BackendError):
        pass
    except HFValidationError:
        raise BackendError(f"{name}: not a hub id, which looks like 'owner/name', and no such folder") from None
    mend = f"put {files} into a folder and give that folder instead"
    try:
        folder = Path(snapshot_download(name, **options))
    except GatedRepoError:
        raise BackendError(f"{name}: the hub asks for consent to its terms and a login; or {mend}") from None
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise BackendError(f"{name}: the hub has no such model or revision; or {mend}") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise BackendError(f"{name}: cannot be downloaded ({type(error).__name__}); {mend}") from None
    check(folder)
    return folder


def check_base_files(folder: Path) -> None:
    """Raise BackendError where a model's files are missing, unfinished or cut off."""
    if not (folder / "config.json").is_file():
        raise BackendError(f"{folder}: no config.json; a model's folder holds {BASE_FILES}")
    _check_weights(folder, _shards(folder), BASE_FILES)


def check_adapter_files(folder: Path) -> None:
    """Raise BackendError where an adapter's files are missing, unfinished or cut off."""
    if not (folder / "adapter_config.json").is_file():
        raise BackendError(f"{folder}: no adapter_config.json; an adapter's folder holds {ADAPTER_FILES}")
    _check_weights(folder, [folder / "adapter_model.safetensors"], ADAPTER_FILES)


def _shards(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError):
            raise BackendError(f"{index}: not a readable index of weights; download it again") from None
        return [folder / name for name in sorted(names)]
    return sorted(folder.glob("*.safetensors")) or [folder / "model.safetensors"]


def _check_weights(folder: Path, shards: list[Path], files: str) -> None:
    unfinished = sorted(path.name for path in folder.glob("*.incomplete"))
    missing = [path.name for path in shards if not path.is_file()]
    if missing:
        also = f" ({unfinished[0]} is half a download)" if unfinished else ""
        raise BackendError(
            f"{folder}: {missing[0]} is missing{also}; put {files} there, only safetensors weights are read"
        )
    for path in shards:
        if path.stat().st_size != _declared_size(path):
            raise BackendError(f"{path}: cut off or damaged; download this file again")


def read_header(path: Path) -> dict[str, Any]:
    """Return the table of a safetensors file: name -> dtype, shape, data_offsets; empty where there is none."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > path.stat().st_size:
            return {}
        try:
            table: dict[str, Any] = json.loads(stream.read(length))
        except ValueError:
            return {}
    table.pop("__metadata__", None)
    return table


def _declared_size(path: Path) -> int:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    ends = [entry["data_offsets"][1] for entry in read_header(path).values()]
    return 8 + length + max(ends) if ends else -1


def content_hash(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of the files that decide what a model says."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in IDENTITY for path in folder.glob(pattern)}):
        with path.open("rb") as stream:
            digest.update(f"{path.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def model_type(source: Source) -> str:
    """Return the family's name in transformers; BackendError for one that it does not know by itself."""
    try:
        config = AutoConfig.from_pretrained(source.folder, local_files_only=True, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        raise BackendError(f"{source.name}: transformers does not know this model; {_first_line(error)}") from None
    return str(config.model_type)


def load_model(source: Source, placement: Placement, *, load_in_4bit: bool = False) -> Any:
    """Load an image-text model for inference. Never runs code that came with the weights."""
    options: dict[str, Any] = {"dtype": placement.dtype}
    if placement.device.type != "cpu":
        options["device_map"] = {"": placement.device}
    if load_in_4bit:
        if placement.device.type != "cuda":
            raise BackendError("4-bit weights need a CUDA device; load them in full precision here")
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_compute_dtype=placement.dtype, bnb_4bit_quant_type="nf4"
        )
    try:
        model, report = AutoModelForImageTextToText.from_pretrained(
            source.folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except ImportError as error:
        raise BackendError(f"{source.name}: needs a library that is not installed: {_first_line(error)}") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BackendError(f"{source.name}: cannot be loaded: {_first_line(error)}") from None
    lost = sorted(report["missing_keys"]) or sorted(str(key) for key in report["mismatched_keys"])
    if lost:
        raise BackendError(
            f"{source.name}: the weights lack {len(lost)} tensors that config.json asks for, {lost[0]}"
        )
    return model.eval()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def check_tokenizer(source: Source, model: Any, processor: Any) -> None:
    """Raise BackendError where the tokenizer beside the weights is another model's."""
    tokens, rows = len(processor.tokenizer), model.get_input_embeddings().weight.shape[0]
    if tokens > rows:
        raise BackendError(
            f"{source.name}: tokenizer.json has {tokens} tokens, the weights know {rows}; it is another model's"
        )
    for name in ("image_token_id", "vision_start_token_id", "vision_end_token_id"):
        expected = getattr(model.config, name, None)
        found = getattr(processor, name, expected)
        if expected is not None and expected != found:
            raise BackendError(
                f"{source.name}: {name} is {expected} in config.json and {found} in tokenizer.json, "
                "which is another model's"
            )


def add_adapter(model: Any, base: Source, adapter: Source, *, merge: bool) -> Any:
    """Return the model with a LoRA adapter, merged into the weights or beside them; BackendError if it misfits."""
    from peft import PeftModel

    misfits = list(_misfits(model, adapter))
    if misfits:
        raise BackendError(f"adapter {adapter.name} was made for another base than {base.name}: {misfits[0]}")
    try:
        adapted = PeftModel.from_pretrained(model, str(adapter.folder), is_trainable=False)
        network = (adapted.merge_and_unload(safe_merge=True) if merge else adapted.get_base_model()).eval()
    except (ValueError, RuntimeError, KeyError, OSError, TypeError) as error:
        raise BackendError(f"adapter {adapter.name} does not go onto {base.name}: {_first_line(error)}") from None
    head = network.get_output_embeddings()
    if type(head) is torch.nn.Linear:  # peft leaves the sizes of a tied head swapped
        head.out_features, head.in_features = head.weight.shape
    return network


def _misfits(model: Any, adapter: Source) -> Iterator[str]:
    modules: dict[str, torch.nn.Module] = dict(model.named_modules())
    for name, entry in read_header(adapter.folder / "adapter_model.safetensors").items():
        module_name, _, part = name.removeprefix("base_model.model.").rpartition(".lora_")
        if not module_name:
            continue
        if module_name not in modules:
            yield f"it changes {module_name}, which is not there"
            continue
        module, shape = modules[module_name], entry["shape"]
        size = getattr(module, "in_features" if part.startswith("A") else "out_features", None)
        if size is not None and size != shape[1 if part.startswith("A") else 0]:
            yield f"{module_name} has size {size}, the adapter expects {shape[1 if part.startswith('A') else 0]}"


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)
