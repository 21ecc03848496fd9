"""How the tables of words are written: words parted by blanks, phrases parted by commas."""


def words_of(listed: str) -> frozenset[str]:
    """The words of a list parted by blanks."""
    return frozenset(listed.split())


def phrases(listed: str) -> list[str]:
    """The phrases of a list parted by commas.

    >>> phrases("cavum, septum pellucidum")
    ['cavum', 'septum pellucidum']
    """
    return [phrase.strip() for phrase in listed.split(",") if phrase.strip()]
