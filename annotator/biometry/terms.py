"""Published equations as data: a table of terms that reads like the paper, prints itself, and is evaluated.

A term is a product of symbols, each perhaps with a power: {"": 8.96, "HC": 0.54, "HC^3": 0.0003} is the paper's
8.96 + 0.54 HC + 0.0003 HC^3, and "lnHC" stands for the natural logarithm of HC.
"""

import math
from collections.abc import Mapping

Terms = Mapping[str, float]


def evaluate(terms: Terms, values: Mapping[str, float]) -> float:
    """Sum the terms at `values`, one number a symbol; KeyError for a symbol without a value.

    >>> round(evaluate({"": 8.96, "HC": 0.54, "HC^3": 0.0003}, {"HC": 17.5}), 3)
    20.018
    """
    return sum(
        factor * math.prod(_power(symbol, values) for symbol in term.split()) for term, factor in terms.items()
    )


def _power(symbol: str, values: Mapping[str, float]) -> float:
    name, _, exponent = symbol.partition("^")
    base = math.log(values[name.removeprefix("ln")]) if name.startswith("ln") else values[name]
    return float(base ** float(exponent or 1))


def written(terms: Terms) -> str:
    """Write the equation out.

    >>> written({"": 9.54, "BPD": 1.482, "BPD FL": -0.1676})
    '9.54 + 1.482 BPD - 0.1676 BPD FL'
    """
    parts = [f"{'-' if factor < 0 else '+'} {abs(factor):.10g} {term}".rstrip() for term, factor in terms.items()]
    return " ".join(parts).removeprefix("+ ")
