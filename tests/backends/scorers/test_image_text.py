"""Image-text cosine of a tiny random CLIP, against its embeddings taken one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast

from annotator.errors import InputError
from backends.scorers.image_text import ImageTextCosine

WORDS = ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "head", "seen", "no", "femur"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-clip"
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = {
        "vocab_size": 8,
        "max_position_embeddings": 12,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**sizes, **words}, vision_config={**sizes, "image_size": 32, "patch_size": 8}, projection_dim=8
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("[BOS]", 2), ("[EOS]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[BOS] $A [EOS]", special_tokens=ends)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", eos_token="[EOS]").save_pretrained(
        folder
    )
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 50), np.uint8)
        Image.fromarray(pixels).save(folder / f"frame{number}.png")
    return folder


def test_the_score_is_the_cosine_of_the_two_embeddings(clip: Path, images: Path) -> None:
    pairs = [("head seen", "frame0.png"), ("no femur", "a/frame1.png"), ("head seen", "frame1")]
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPImageProcessorPil.from_pretrained(clip)
    expected = []
    for ids, number in (([2, 4, 5, 3], 0), ([2, 6, 7, 3], 1), ([2, 4, 5, 3], 1)):
        image = Image.open(images / f"frame{number}.png").convert("RGB")
        with torch.inference_mode():
            out = model(input_ids=torch.tensor([ids]), **processor(images=[image], return_tensors="pt"))
        expected.append(float(torch.cosine_similarity(out.text_embeds, out.image_embeds)))
    scorer = ImageTextCosine(clip, images)
    assert scorer.score(pairs) == pytest.approx(expected, abs=1e-5)
    assert scorer.name == "image-text cosine (tiny-clip)"


def test_an_answer_about_an_unknown_image_is_named(clip: Path, images: Path) -> None:
    with pytest.raises(InputError, match=r"no image frame9\.png"):
        ImageTextCosine(clip, images).score([("head", "frame9.png")])


def test_a_folder_that_is_no_model_and_one_without_images_are_named(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded as an image-text model"):
        ImageTextCosine(tmp_path, tmp_path)
    with pytest.raises(InputError, match="no such folder of images"):
        ImageTextCosine(clip, tmp_path / "none")
