"""The word-level reading of clinical phrases: whole words, their usual misspellings, and what is denied.

`vocabulary` is the table of words, `cues` that of denials; `reader` is what the rest of the tool uses.
"""

from annotator.words.reader import Alias, Mention, NamedPlane, Reading, mentions

__all__ = ["Alias", "Mention", "NamedPlane", "Reading", "mentions"]
