"""The model that learns: base weights frozen, an adapter beside them, losses of a batch.

A conversation's task loss is the mean cross entropy, in nats, of its answer's tokens; a step's loss is the mean
over its conversations. So a long interpretation counts no more than a one-word view, and it does not matter how
many conversations were on the device at once. (A mean over all tokens of a batch, as is also usual, would let the
longest answers decide.)
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from torch import Tensor
from torch.nn.functional import cross_entropy

from annotator.errors import BackendError, InputError
from backends.training.lora.batches import Batch
from backends.training.lora.request import LoraRequest
from backends.training.lora.targets import PRESETS, family_of, targets_of, trainable_report
from backends.vlm import loading
from backends.vlm.devices import Placement, choose_placement
from backends.vlm.processor import load_processor


@dataclass
class Student:
    """A model with an adapter in training mode. `network` is peft's, `base` the model inside it."""

    network: Any
    processor: Any
    source: loading.Source
    adapter: loading.Source | None
    placement: Placement

    @property
    def base(self) -> Any:
        """The model with the adapter's layers in it."""
        return self.network.get_base_model()

    @property
    def lora(self) -> dict[str, Any]:
        """Rank, alpha and dropout of the adapter."""
        config = self.network.peft_config["default"]
        return {"rank": config.r, "alpha": config.lora_alpha, "dropout": config.lora_dropout}

    @property
    def pad_token(self) -> int:
        """The token that fills rows up; it is masked."""
        found = self.processor.tokenizer.pad_token_id
        return int(found if found is not None else self.processor.tokenizer.eos_token_id)

    def trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Name and weight of all that is trained."""
        return ((name, weight) for name, weight in self.base.named_parameters() if weight.requires_grad)

    def vision_weights(self) -> list[torch.nn.Parameter]:
        """What is trained of the vision tower's blocks."""
        tower = family_of(self.base).vision_blocks
        return [weight for name, weight in self.trained() if name.startswith(tower)]

    def autocast(self) -> AbstractContextManager[object]:
        """Within it, bf16 where the weights are bf16."""
        is_half = self.placement.dtype == torch.bfloat16
        return torch.autocast(self.placement.device.type, torch.bfloat16, enabled=is_half)

    def answer_losses(self, batch: Batch) -> Tensor:
        """Return each conversation's mean cross entropy of its answer's tokens, (N,) float32.

        The head is applied to the answers' places only: over a whole prompt its logits would fill the memory.
        """
        device = self.placement.device
        inputs = {name: part.to(device) for name, part in batch.inputs.items()}
        hidden = self.base.model(**inputs, use_cache=False).last_hidden_state
        rows = [hidden[row, start - 1 : stop - 1] for row, (start, stop) in enumerate(batch.answers)]
        logits = self.base.get_output_embeddings()(torch.cat(rows)).float()
        targets = [inputs["input_ids"][row, start:stop] for row, (start, stop) in enumerate(batch.answers)]
        losses = cross_entropy(logits, torch.cat(targets), reduction="none")
        return torch.stack([part.mean() for part in losses.split([len(row) for row in rows])])  # type: ignore[no-untyped-call]


def load_student(request: LoraRequest, source: loading.Source, adapter: loading.Source | None) -> Student:
    """Load the base, put an adapter on it, and make ready to train. BackendError, InputError."""
    placement = _placement(request)
    processor = load_processor(source.folder, loading.model_type(source))
    processor.tokenizer.padding_side = "right"
    model = loading.load_model(source, placement)
    loading.check_tokenizer(source, model, processor)
    torch.manual_seed(request.seed)  # peft draws LoRA's first matrices
    network = _continued(model, source, adapter, request) if adapter else _fresh(model, request)
    network.peft_config["default"].base_model_name_or_path = request.model
    for weight in network.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()  # small steps are lost in half precision
    if request.gradient_checkpointing:
        # The reentrant kind cuts the graph at each block: what a hook takes from there would carry no gradient.
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    return Student(network.train(), processor, source, adapter, placement)


def _placement(request: LoraRequest) -> Placement:
    chosen = choose_placement(request.device, request.precision)
    if chosen.dtype == torch.float16:  # only `auto` says so; without loss scaling fp16 underflows in training
        return Placement(chosen.device, torch.float32)
    return chosen


def _fresh(model: Any, request: LoraRequest) -> Any:
    preset, targets = PRESETS[request.preset], targets_of(model, request.preset)
    tied = bool(targets.in_full) and model.get_output_embeddings().weight is model.get_input_embeddings().weight
    in_full = [*targets.in_full.get("embeddings", ())] if tied else targets.names_in_full
    config = LoraConfig(
        r=request.rank or preset.rank,
        lora_alpha=request.alpha or preset.alpha,
        lora_dropout=preset.dropout if request.dropout is None else request.dropout,
        target_modules=targets.pattern,
        modules_to_save=in_full or None,
        ensure_weight_tying=tied,
    )
    return get_peft_model(model, config)


def _continued(model: Any, source: loading.Source, adapter: loading.Source, request: LoraRequest) -> Any:
    wanted = targets_of(model, request.preset) if "preset" in request.model_fields_set else None
    try:
        network = PeftModel.from_pretrained(model, str(adapter.folder), is_trainable=True)
    except (ValueError, RuntimeError, KeyError, OSError, TypeError) as error:
        raise BackendError(f"adapter {adapter.name} does not go onto {source.name}: {_first_line(error)}") from None
    stored = set(loading.read_header(adapter.folder / "adapter_model.safetensors"))
    expected = set(get_peft_model_state_dict(network, save_embedding_layers=False))
    if stored - expected:
        raise BackendError(
            f"adapter {adapter.name} was made for another base than {source.name}: {min(stored - expected)}"
        )
    if expected - stored:
        raise BackendError(f"adapter {adapter.name} lacks weights that its config names: {min(expected - stored)}")
    if wanted is not None and _with_lora(network) != {name for names in wanted.lora.values() for name in names}:
        raise InputError(f"adapter {adapter.name} has other layers than preset {request.preset}; leave preset out")
    _check_shape(network.peft_config["default"], adapter.name, request)
    return network


def _with_lora(network: Any) -> set[str]:
    names = (name.partition(".lora_A.") for name, _ in network.get_base_model().named_parameters())
    return {module for module, found, _ in names if found}


def _check_shape(config: Any, name: str, request: LoraRequest) -> None:
    if config.peft_type != "LORA":
        raise InputError(f"adapter {name} is no LoRA adapter but {config.peft_type}; train a new one")
    held = {"rank": config.r, "alpha": config.lora_alpha, "dropout": config.lora_dropout}
    for part, value in held.items():
        asked = getattr(request, part)
        if asked is not None and asked != value:
            raise InputError(f"adapter {name} has {part} {value}, {asked} was asked; leave {part} out")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def save_adapter(student: Student, folder: Path) -> dict[str, Any]:
    """Write adapter_config.json and adapter_model.safetensors into `folder`; return what was trained, counted."""
    student.network.save_pretrained(str(folder), save_embedding_layers=False)
    return trainable_report(student.network)
