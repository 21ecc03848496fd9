"""Accounts: hashes, wrong passwords that wait, sessions that end."""

from datetime import timedelta

import pytest

from annotator.errors import InputError
from annotator.store import Store
from annotator.studies import Role
from review import accounts as module
from review.accounts import Accounts, Person, ThrottledError, hash_password, is_password
from tests.review.reading import Clock

WORD = "a good long password"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COST", 2**4)  # the throttle is about counts, not about the cost of one hash


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(store: Store, clock: Clock) -> Accounts:
    accounts = Accounts(store, clock)
    accounts.put("anna", Role.READER, WORD)
    return accounts


def test_a_password_is_kept_as_a_salted_hash_that_names_its_cost(store: Store, people: Accounts) -> None:
    first, second = hash_password(WORD), hash_password(WORD)
    assert first != second
    assert WORD not in first
    assert is_password(WORD, first)
    assert not is_password(WORD + "x", first)
    assert first.startswith("scrypt$16$8$1$")


def test_by_default_a_hash_costs_memory_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert hash_password(WORD).startswith("scrypt$32768$8$1$")


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_a_password_too_short_or_too_long_is_refused(password: str) -> None:
    with pytest.raises(InputError, match="10 to 200"):
        hash_password(password)


@pytest.mark.parametrize("login", ["", "Anna", "<b>", "{{x}}", "${1}", "a b", "../x", "-x", "é", "a" * 65, "a\n"])
def test_a_login_that_could_be_markup_or_a_path_is_refused(people: Accounts, login: str) -> None:
    with pytest.raises(InputError, match="login"):
        people.put(login, Role.READER, WORD)
    assert people.log_in(login, WORD, "1.2.3.4") is None


def test_the_right_password_opens_a_session_that_ends_by_itself(people: Accounts, clock: Clock) -> None:
    secret = people.log_in("anna", WORD, "1.2.3.4")
    assert people.who(secret) == Person("anna", Role.READER)
    clock.move(hours=11, minutes=59)
    assert people.who(secret) is not None
    clock.move(minutes=2)
    assert people.who(secret) is None


def test_a_session_opened_while_the_clock_was_ahead_ends_when_it_is_set_right(
    people: Accounts, clock: Clock
) -> None:
    clock.move(days=365)
    secret = people.log_in("anna", WORD, "1.2.3.4")
    clock.move(days=-365)
    assert people.who(secret) is None


@pytest.mark.parametrize("forged", [None, "", "x", "0" * 43, "a" * 5000, "' OR 1=1 --"])
def test_a_forged_session_is_nobodys(people: Accounts, forged: str | None) -> None:
    people.log_in("anna", WORD, "1.2.3.4")
    assert people.who(forged) is None


def test_the_database_holds_no_secret_that_would_open_a_session(store: Store, people: Accounts) -> None:
    secret = people.log_in("anna", WORD, "1.2.3.4")
    assert secret is not None
    with store.reading() as connection:
        dump = str(connection.exec_driver_sql("SELECT * FROM login_session").fetchall())
    assert secret not in dump
    assert people.who(dump.split("'")[1]) is None


def test_logging_out_ends_this_session_only_and_a_new_password_ends_all(people: Accounts) -> None:
    first, second = (people.log_in("anna", WORD, "1.2.3.4") for _ in "ab")
    people.log_out(first)
    assert people.who(first) is None
    assert people.who(second) is not None
    people.put("anna", Role.READER, "another long password")
    assert people.who(second) is None
    assert people.log_in("anna", WORD, "1.2.3.4") is None


def test_a_closed_account_cannot_log_in(people: Accounts) -> None:
    people.put("anna", Role.READER, WORD, active=False)
    assert people.log_in("anna", WORD, "1.2.3.4") is None


def test_wrong_passwords_wait_longer_and_longer_whatever_the_address(people: Accounts, clock: Clock) -> None:
    waits = []
    for attempt in range(9):
        address = f"10.0.0.{attempt}"
        try:
            assert people.log_in("anna", "wrong", address) is None
        except ThrottledError as error:
            waits.append((error.until - clock.at).total_seconds())
            clock.move(seconds=waits[-1])
            assert people.log_in("anna", "wrong", address) is None
    assert waits == [1, 2, 4, 8]
    with pytest.raises(ThrottledError):
        people.log_in("anna", WORD, "10.0.0.99")
    clock.move(minutes=16)
    assert people.log_in("anna", WORD, "10.0.0.99") is not None
    assert people.log_in("anna", "wrong", "10.0.0.99") is None


def test_many_logins_tried_from_one_address_are_throttled_and_others_go_on(people: Accounts) -> None:
    for attempt in range(20):
        assert people.log_in(f"reader{attempt}", "wrong", "6.6.6.6") is None
    with pytest.raises(ThrottledError):
        people.log_in("anna", WORD, "6.6.6.6")
    assert people.log_in("anna", WORD, "1.2.3.4") is not None


def test_the_throttle_survives_a_restart_and_a_clock_that_jumps_back(
    store: Store, people: Accounts, clock: Clock
) -> None:
    for _ in range(12):
        clock.move(hours=1)
        people.log_in("anna", "wrong", "1.2.3.4")
    clock.at -= timedelta(days=300)
    with pytest.raises(ThrottledError) as caught:
        Accounts(store, clock).log_in("anna", WORD, "1.2.3.4")
    assert (caught.value.until - clock.at).total_seconds() <= 15 * 60
