"""From a choice of backend to a loaded model; what a worker process calls."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from annotator.errors import BackendError, InputError
from annotator.schema import Backend, ModelVersion, Record

NAMES = ("embedded", "fada", "remote", "recorded")
FADA_BASE, FADA_ADAPTER = "unsloth/Qwen3.5-4B", "mshz88/FADA-SKD-4B"


class BackendChoice(Record):
    """Which model is asked, and how; every field but `version` has a command line option of its name."""

    backend: str = "embedded"
    model: str | None = Field(default=None, description="hub id or folder; for `remote` the name the server knows")
    version: ModelVersion | None = Field(default=None, description="the trained version that is asked, if one is")
    adapter: str | None = Field(default=None, description="LoRA adapter, hub id or folder")
    url: str | None = None
    answers: Path | None = Field(default=None, description="what `recorded` replays")
    profile: Path | None = None
    device: str = "auto"
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    four_bit: bool = False
    keypoints: bool = False
    allow_upload: bool = False
    api_key: SecretStr | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "BackendChoice":
        if self.backend not in NAMES:
            raise ValueError(f"no backend {self.backend!r}; there is: {', '.join(NAMES)}")
        if self.backend == "remote" and not (self.url and self.model):
            raise ValueError("the remote backend needs --url and --model")
        if self.backend == "recorded" and self.answers is None:
            raise ValueError("the recorded backend needs --answers")
        return self


def open_backend(choice: BackendChoice, *, threads: int) -> Backend:
    """Load a model, to use at most `threads` processor threads.

    BackendError where it cannot be loaded, or where the files of `choice.version` are not those it was made with.
    """
    if choice.version is not None:
        _check_files(choice, choice.version)
    backend = _OPENERS[choice.backend](choice, threads)
    if choice.version is not None:
        backend.model = _as_trained(choice, choice.version, backend.model)
    return backend


def backend_factory(choice: BackendChoice, *, threads: int) -> Callable[[], Backend]:
    """Return a function that another process can import and call."""
    return partial(open_backend, choice, threads=threads)


def _open_embedded(choice: BackendChoice, threads: int) -> Backend:
    import torch

    from backends.embedded import EmbeddedBackend

    torch.set_num_threads(1)
    if choice.model is None:
        return EmbeddedBackend(threads=threads)
    folder = Path(choice.model)
    if not (folder / "model.json").is_file():
        raise InputError(
            f"{folder} is no folder of embedded weights: it holds no model.json, as training writes it"
        )
    return EmbeddedBackend(folder, threads=threads)


def _open_fada(choice: BackendChoice, threads: int) -> Backend:
    import torch

    from backends.baselines.settings import is_captioner
    from backends.fada import FadaBackend
    from backends.local_vlm import LocalEngine
    from backends.prompts import load_profile

    torch.set_num_threads(threads)
    profile = load_profile(choice.profile)
    if choice.model and is_captioner(Path(choice.model)):
        from backends.baselines.engine import CaptionerEngine

        return FadaBackend(CaptionerEngine(Path(choice.model)), profile)
    engine = LocalEngine(
        choice.model or FADA_BASE,
        choice.adapter or (None if choice.model else FADA_ADAPTER),
        device=choice.device,
        precision=choice.precision,
        load_in_4bit=choice.four_bit,
        image_max_side_px=profile.image_max_side_px,
    )
    return FadaBackend(engine, profile, asks_keypoints=choice.keypoints)


def _open_remote(choice: BackendChoice, threads: int) -> Backend:
    from backends.fada import FadaBackend
    from backends.prompts import load_profile
    from backends.remote_vlm import RemoteEngine

    assert choice.url is not None
    assert choice.model is not None
    profile = load_profile(choice.profile)
    engine = RemoteEngine(
        choice.url,
        choice.model,
        api_key=choice.api_key,
        allow_upload=choice.allow_upload,
        image_max_side_px=profile.image_max_side_px,
    )
    return FadaBackend(engine, profile, name="remote", asks_keypoints=choice.keypoints)


def _open_recorded(choice: BackendChoice, threads: int) -> Backend:
    from backends.fada import FadaBackend
    from backends.prompts import load_profile
    from backends.recorded import RecordedEngine

    if choice.answers is None or not choice.answers.is_file():
        raise InputError(f"{choice.answers}: no such file of recorded answers")
    engine = RecordedEngine(choice.answers)
    return FadaBackend(engine, load_profile(choice.profile), name="recorded", asks_keypoints=choice.keypoints)


def _check_files(choice: BackendChoice, version: ModelVersion) -> None:
    """A version is its content: files that were changed must not answer under its name."""
    from backends.embedded import model
    from backends.vlm import loading

    folder, hash_of = choice.model, model.content_hash
    if version.backend == "fada":
        folder, hash_of = choice.adapter, loading.content_hash
    try:
        found = hash_of(Path(folder or ""))
    except OSError as error:
        raise BackendError(f"{version.name} cannot be loaded: {error.filename or folder} cannot be read") from error
    if found != version.content_hash:
        raise BackendError(f"{version.name} cannot be loaded: the files in {folder} are not those it was made with")


def _as_trained(choice: BackendChoice, version: ModelVersion, opened: ModelVersion) -> ModelVersion:
    """The version under its own name; asked in another way than by default it is a version of that one."""
    if choice.profile is None and not choice.keypoints and not choice.four_bit:
        return version
    return opened.model_copy(update={"parent": version.name, "dataset": version.dataset})


_OPENERS = {
    "embedded": _open_embedded,
    "fada": _open_fada,
    "remote": _open_remote,
    "recorded": _open_recorded,
}
