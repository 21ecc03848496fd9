"""How far a text fits its image: the cosine of a CLIP-like model's embeddings, from a folder on this machine."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from annotator.errors import InputError

_BATCH = 16
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


class ImageTextCosine:
    """Cosine of image and text embeddings, -1..1 (Hessel et al. 2021, arXiv:2104.08718, without its factor).

    It needs no reference. The study's figure is of MedImageInsight, whose checkpoint runs its own code: this one
    carries its model's name and never stands in for it.
    """

    metric = "image-text cosine"
    judges_by = "image"

    def __init__(self, folder: Path, images: Path) -> None:
        """Read a CLIP-like model of transformers; `images` holds the files that the answers name."""
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        try:
            self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{folder}: cannot be loaded as an image-text model: {reason}") from None
        if not hasattr(self._model, "get_image_features"):
            raise InputError(f"{folder}: {type(self._model).__name__} does not embed images and texts together")
        self._files = _by_name(images)
        self._folder = images
        self.name = f"image-text cosine ({folder.name})"

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Score (answer, image name) pairs; each image and text is embedded once. An unknown image is an error."""
        texts = dict(self._text_vectors(sorted({text for text, _ in pairs}, key=len)))
        images = dict(self._image_vectors(sorted({image for _, image in pairs})))
        return [float(texts[text] @ images[image]) for text, image in pairs]

    def _text_vectors(self, texts: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        most = int(getattr(self._model.config.text_config, "max_position_embeddings", 77))
        for start in range(0, len(texts), _BATCH):
            part = list(texts[start : start + _BATCH])
            batch = self._tokenizer(part, padding=True, truncation=True, max_length=most, return_tensors="pt")
            found = self._model.get_text_features(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            )
            yield from zip(part, normalize(found.pooler_output, dim=-1), strict=True)

    def _image_vectors(self, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        for start in range(0, len(names), _BATCH):
            part = list(names[start : start + _BATCH])
            batch = self._processor(images=[self._open(name) for name in part], return_tensors="pt")
            found = self._model.get_image_features(pixel_values=batch["pixel_values"])
            yield from zip(part, normalize(found.pooler_output, dim=-1), strict=True)

    def _open(self, name: str) -> Image.Image:
        path = self._files.get(Path(name).name) or self._files.get(Path(name).stem)
        if path is None:
            raise InputError(f"{self._folder}: no image {name}, which an answer is about")
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except OSError as error:
            raise InputError(f"{path} cannot be read as an image: {error}") from None


def _by_name(folder: Path) -> Mapping[str, Path]:
    """Files below a folder by name and by stem; of equal names the first in order of path."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of images")
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES):
        found.setdefault(path.name, path)
        found.setdefault(path.stem, path)
    return found
