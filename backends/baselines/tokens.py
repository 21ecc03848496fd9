"""A byte-level BPE that is learnt from the training answers, so that nothing is downloaded."""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, END = "<|pad|>", "<|end|>"


def task_token(task: str) -> str:
    """Return the token that an answer to this task begins with.

    >>> task_token("interpret")
    '<|interpret|>'
    """
    return f"<|{task}|>"


def learn_tokens(answers: Iterable[str], tasks: Sequence[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Learn at most `vocabulary` tokens; every text can be written in them, for all bytes are among them."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    marks = [PAD, END, *(task_token(task) for task in tasks)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=marks,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(answers, trainer)
    return wrapped(bpe)


def wrapped(bpe: Tokenizer) -> PreTrainedTokenizerFast:
    """Return a tokenizer of transformers around the learnt one."""
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, clean_up_tokenization_spaces=False
    )


def read_tokens(path: str) -> PreTrainedTokenizerFast:
    """Read `tokenizer.json`."""
    return wrapped(Tokenizer.from_file(path))
