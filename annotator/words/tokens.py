"""Text to words and the marks between them."""

import html
import re
import unicodedata
from typing import NamedTuple

from annotator.words.lists import words_of

_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)(?:\s[^<>]*|/)?>")
_INLINE_TAGS = words_of("a b em font i mark s small span strong sub sup u")
_ESCAPED_BREAK = re.compile(r"\\[nrt]")
_HARD_HYPHENS = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2019": "'", "\u02bc": "'", "`": "'", "_": " "})
_TOKEN = re.compile(
    r"""
    (?P<short>(?:w/o|n/a)\b)
    | (?P<number>\d+(?:[.,]\d+)*(?:[^\W\d_]\w*)?) # 12  45.2mm  20w3d  4CV
    | (?P<word>[^\W\d_]+(?:'[^\W\d_]+)?)
    | (?P<mark>[.,;:!?()\[\]{}|=/&\n\r\u2022\u2014]|(?<![^\s])[-\u2013]+(?![^\s])|(?<=\s)\u2013)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MARKS = {
    **dict.fromkeys(".;!?|\n\r\u2022", "."),
    **dict.fromkeys("([{", "("),
    **dict.fromkeys(")]}", ")"),
    **dict.fromkeys(("-", "\u2013", "\u2014"), "-"),
    "=": ":",
    "/": "or",
    "&": "and",
}
_SHORT = {"w/o": "without", "n/a": "unavailable"}
_AUXILIARIES = words_of("is are was were do does did has have had could would should")
_ENDS_IN_NOT = {word + "nt": word for word in _AUXILIARIES} | {"cant": "can", "can't": "can", "cannot": "can"}


class Token(NamedTuple):
    """A word in its written form (lower case), or a mark: . , : ( ) -; with its place in the cleaned text."""

    word: str
    start: int
    stop: int


def clean(text: str) -> str:
    """Take accents and markup off a text; case and punctuation stay.

    >>> clean("F\u00e9mur <b>not</b> seen&nbsp;<br>heart")
    'Femur  not  seen \\nheart'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Mn", "Cf"))
    if "&" in text:
        text = html.unescape(text).replace("\xa0", " ")
    if "<" in text:
        text = _TAG.sub(lambda tag: " " if tag[1].lower() in _INLINE_TAGS else "\n", text)
    if "\\" in text:
        text = _ESCAPED_BREAK.sub("\n", text)
    return text.translate(_HARD_HYPHENS)


def tokenize(cleaned: str) -> list[Token]:
    """Split a cleaned text into words and marks; a hyphen inside a word parts it, "n't" becomes "not".

    >>> [token.word for token in tokenize("The trans-thalamic plane isn't seen; HC=175 mm")]
    ['the', 'trans', 'thalamic', 'plane', 'is', 'not', 'seen', '.', 'hc', ':', '175', 'mm']
    """
    tokens: list[Token] = []
    for match in _TOKEN.finditer(cleaned):
        start, stop = match.span()
        written = match[0].lower()
        if match.lastgroup == "mark":
            tokens.append(Token(_MARKS.get(written[0], written[0]), start, stop))
        elif match.lastgroup == "short":
            tokens.append(Token(_SHORT[written], start, stop))
        elif "'" in written or written in _ENDS_IN_NOT:
            tokens += [Token(word, start, stop) for word in _parted(written)]
        else:
            tokens.append(Token(written, start, stop))
    return tokens


def _parted(word: str) -> tuple[str, ...]:
    """Take off "'s", and part "not" from what it is written together with."""
    if word in _ENDS_IN_NOT:
        return (_ENDS_IN_NOT[word], "not")
    stem, _, tail = word.partition("'")
    return (stem[:-1], "not") if tail == "t" and stem.endswith("n") else (stem,)
