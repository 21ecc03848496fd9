"""The pool: what belongs together, what is left out, what is refused."""

import numpy as np
import pytest

from annotator.errors import InputError
from annotator.selection import Pool
from annotator.selection.pool import first_of_units


def a_pool(**parts: object) -> Pool:
    columns = {"ids": ("a", "b", "c"), "strata": ("s", "s", "t"), "units": ("u", "u", "v"), **parts}
    return Pool(**columns)  # type: ignore[arg-type]


def test_frames_and_whole_units_can_be_left_out_with_all_their_columns() -> None:
    pool = a_pool(
        uncertainty=np.array([0.1, 0.2, 0.3]),
        embeddings=np.eye(3, dtype=np.float32),
        structures=(frozenset({"NT"}), frozenset(), frozenset({"CM"})),
    )
    left = pool.without(["a"])
    assert (left.ids, left.units, left.structures) == (("b", "c"), ("u", "v"), (frozenset(), frozenset({"CM"})))
    assert left.uncertainty is not None
    assert left.uncertainty.tolist() == [0.2, 0.3]
    assert left.embeddings is not None
    assert left.embeddings.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert pool.without(units=["u"]).ids == ("c",)
    assert len(pool.without(["a", "b", "c"])) == 0


def test_what_is_taken_as_labelled_covers_and_its_twins_are_gone() -> None:
    pool = a_pool(
        embeddings=np.eye(3, dtype=np.float32),
        structures=(frozenset({"NT"}), frozenset(), frozenset({"CM"})),
        labelled_strata=("t",),
    )
    left = pool.labelling(np.array([0]))
    assert left.ids == ("c",)
    assert left.labelled_strata == ("t", "s")
    assert left.labelled_structures == (frozenset({"NT"}),)
    assert left.labelled_embeddings is not None
    assert left.labelled_embeddings.tolist() == [[1, 0, 0]]


def test_the_first_frame_of_each_unit_is_kept_in_order() -> None:
    assert first_of_units(a_pool(), np.array([1, 0, 2]), 5).tolist() == [1, 2]
    assert first_of_units(a_pool(), np.array([1, 0, 2]), 1).tolist() == [1]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"strata": ("s",)}, "3 rows"),
        ({"uncertainty": np.zeros(2)}, "3 rows"),
        ({"structures": (frozenset(),)}, "3 rows"),
        ({"ids": ("a", "a", "b")}, "twice"),
        ({"embeddings": np.array([[0.0], [np.nan], [1.0]], np.float32)}, "finite"),
        ({"embeddings": np.zeros(3, np.float32)}, "finite"),
        ({"labelled_embeddings": np.array([[np.inf]], np.float32)}, "finite"),
    ],
)
def test_columns_that_do_not_fit_are_refused(parts: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        a_pool(**parts)
