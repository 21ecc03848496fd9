"""One tiny checkpoint and one adapter for all tests of this folder."""

import pytest
import torch

from tests.tiny_vlm import save_tiny_adapter, save_tiny_checkpoint


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vlm") / "tiny"
    save_tiny_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def adapter(tmp_path_factory, checkpoint):
    folder = tmp_path_factory.mktemp("vlm") / "lora"
    save_tiny_adapter(folder, checkpoint)
    return folder
