"""A training in a process of its own, to be killed: given a request and the step after which it waits."""

import sys
import time
from pathlib import Path

import torch

from backends.training.lora.request import LoraRequest
from backends.training.lora.training import train_lora


def main() -> None:
    torch.set_num_threads(1)
    request = LoraRequest.model_validate_json(Path(sys.argv[1]).read_text())
    stop_after = int(sys.argv[2])

    def wait(step: int, total: int, message: str) -> bool:
        if step == stop_after:
            Path(sys.argv[1]).with_suffix(".reached").touch()
            time.sleep(600)
        return True

    train_lora(request, on_progress=wait)


if __name__ == "__main__":
    main()
