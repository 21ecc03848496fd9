"""One tiny checkpoint for all tests of this folder. It takes images of few patches, so that steps are short."""

import json

import pytest
import torch

from backends.training.lora.training import train_lora
from tests.backends.training.lora.builders import a_request, some_lines, write_conversations, write_teacher_cache
from tests.tiny_vlm import save_tiny_checkpoint


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora") / "tiny"
    save_tiny_checkpoint(folder)
    pixels = folder / "preprocessor_config.json"
    sizes = {"shortest_edge": 1024, "longest_edge": 16777216}
    pixels.write_text(json.dumps(json.loads(pixels.read_text()) | {"size": sizes}))
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write_conversations(tmp_path_factory.mktemp("data"), some_lines(count=7))


@pytest.fixture(scope="session")
def distilling(tmp_path_factory):
    """Settings under which all that a checkpoint must hold matters: features, and dropout's random numbers."""
    cache = write_teacher_cache(tmp_path_factory.mktemp("cache") / "cache.h5", images=6)
    steps = {"accumulation": 2, "steps": 5, "gradient_checkpointing": True}
    return {"distill": "selective", "teacher_cache": cache, "dropout": 0.1} | steps


@pytest.fixture(scope="session")
def whole(tmp_path_factory, checkpoint, data, distilling):
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, train_lora(a_request(data, checkpoint, out, **distilling))
