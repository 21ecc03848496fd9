"""Pixels and prompts as a model takes them, without torchvision."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer, Qwen2VLImageProcessorPil, Qwen3VLProcessor
from transformers.processing_utils import ProcessorMixin

from annotator.errors import BackendError
from backends.reduced import reduced_image

MARKERS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
VISION_END = MARKERS["vision_end_token"]
QWEN = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")


class ImageOnlyProcessor(Qwen3VLProcessor):  # type: ignore[misc]
    """Qwen's processor for still images: the video part, which alone needs torchvision, is left out.

    The mixin learns its parts from this signature: with no `video_processor` in it, none is looked up.
    """

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_unused: Any
    ) -> None:
        for name, marker in MARKERS.items():
            setattr(self, name, marker)
            setattr(self, f"{name}_id", tokenizer.convert_tokens_to_ids(marker))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def load_processor(folder: Path, model_type: str) -> Any:
    """Load the processor that lies beside the weights; BackendError where a part of it is missing."""
    try:
        if model_type in QWEN:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            pixels = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
            processor = ImageOnlyProcessor(pixels, tokenizer, chat_template=tokenizer.chat_template)
        else:
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        reason = str(error).strip().splitlines()[0]
        raise BackendError(f"{folder}: its processor needs a library that is not installed: {reason}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BackendError(
            f"{folder}: tokenizer.json, tokenizer_config.json and preprocessor_config.json must lie there: {reason}"
        ) from None
    if not (processor.chat_template or processor.tokenizer.chat_template):
        raise BackendError(f"{folder}: there is no chat template; put the model's chat_template.jinja there")
    return processor


def chat(processor: Any, prompt: str) -> str:
    """Return the whole prompt as text: one turn of a user with an image and the prompt, then the model's turn.

    Where the template knows of thinking, it is switched off: FADA's answers begin at once with JSON.
    """
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
    tokenizer = processor.tokenizer
    template = processor.chat_template or tokenizer.chat_template
    text: str = tokenizer.apply_chat_template(
        [turn], chat_template=template, add_generation_prompt=True, tokenize=False, enable_thinking=False
    )
    return text


def split_chat(processor: Any, prompt: str) -> tuple[str, str]:
    """Return the text up to and including the image, which all prompts share, and what follows it."""
    before, marker, after = chat(processor, prompt).partition(VISION_END)
    if not marker:
        raise BackendError(f"the chat template writes no {VISION_END}; it belongs to another model")
    return before + marker, after


def to_image(pixels: NDArray[np.uint8], max_side_px: int, name: str) -> Image.Image:
    """Return pixels, (H, W) gray or (H, W, 3) RGB, as an RGB image of at most `max_side_px` on its long side.

    FrameError for what is no image. What is smaller than the model's least size is enlarged by its processor.
    """
    return reduced_image(pixels, max_side_px, name).convert("RGB")
