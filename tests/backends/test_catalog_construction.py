"""Every model that transformers is said to load without remote code is built from its configuration, in tiny size,
is shown an image and writes two tokens."""

from collections.abc import Iterator

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForImageTextToText

from backends.catalog import catalog
from backends.catalog.records import CatalogEntry
from tests.backends.tiny_configs import TINY, Inputs

BUILT_HERE = [entry for entry in catalog().models if entry.loader == "transformers"]
NEW_TOKENS = 2


@pytest.fixture(autouse=True)
def quiet_and_steady() -> Iterator[None]:
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    yield
    transformers.logging.set_verbosity(before)


def make_attentive(model: torch.nn.Module) -> None:
    """Let a freshly drawn model see: weights are drawn so narrow that an image is lost among rounding errors, and
    some types start with what lets it in at zero, to be learnt (gates, gemma3's projection)."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.endswith("bias") and not weight.any():
                weight.normal_(0.0, 0.5)
            elif weight.dim() > 1:
                weight.mul_(4.0)


def first_logits_and_text(model: torch.nn.Module, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        written = model.generate(  # type: ignore[operator]
            **inputs,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    return written.logits[0], written.sequences


@pytest.mark.parametrize("model_type", sorted(catalog().model_types))
def test_a_tiny_one_is_built_sees_its_image_and_writes(model_type: str) -> None:
    settings, image = TINY[model_type]
    config = AutoConfig.for_model(model_type, **settings)
    model = AutoModelForImageTextToText.from_config(config, trust_remote_code=False).eval()
    make_attentive(model)
    assert type(model).__name__ == catalog().model_types[model_type].builds
    assert sum(weight.numel() for weight in model.parameters()) < 1_000_000
    inputs, other = image(), image()
    logits, written = first_logits_and_text(model, inputs)
    asked = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    assert written.shape == (1, asked + NEW_TOKENS)
    assert torch.isfinite(logits).all()
    assert torch.equal(logits, first_logits_and_text(model, inputs)[0])
    assert not torch.allclose(logits, first_logits_and_text(model, other)[0], atol=1e-4), (
        "the image changes nothing"
    )


def test_every_model_that_is_said_to_load_here_is_of_a_type_built_above() -> None:
    assert {entry.model_type for entry in BUILT_HERE} == set(TINY)


@pytest.mark.parametrize("entry", BUILT_HERE, ids=lambda entry: entry.name)
def test_no_type_that_needs_remote_code_is_said_to_load_here(entry: CatalogEntry) -> None:
    assert entry.model_type in transformers.CONFIG_MAPPING
