"""The registers by themselves: what stands when, by what was known when, and corrections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing import registers
from clearing.registers import REGISTERS, ComplianceVeto, Entry, Freeze, Pledge, Registers, is_against, refuse

SHA = "ab" * 32


def entry(number: int, **fields: object) -> Entry:
    whole: dict[str, object] = {
        "id": f"G{number}",
        "facts": Freeze(number="17", authority="court", state="frozen"),
        "product": "D1",
        "participant": "",
        "evidence_sha256": SHA,
        "valid_from_ns": 0,
        "valid_until_ns": 0,
        "reason": "an order",
        "by": "P3",
        "at_ns": number * 10,
        **fields,
    }
    return Entry(**whole)  # type: ignore[arg-type]


def kept(*entries: Entry) -> Registers:
    return registers.loaded(list(entries))


def standing(found: Registers, at_ns: int, known_ns: int | None = None) -> list[str]:
    return [row.id for row in found.standing("freezes", "D1", "", at_ns, known_ns)]


def test_an_entry_is_good_from_its_first_instant_to_before_its_end() -> None:
    found = kept(entry(1, valid_from_ns=100, valid_until_ns=200))
    assert [standing(found, at) for at in (99, 100, 199, 200)] == [[], ["G1"], ["G1"], []]
    assert sorted(found.changes_after(100, ("freezes", "D1", ""))) == [200]


def test_the_last_entry_of_a_number_stands_and_numbers_stand_beside_each_other() -> None:
    lifted = Freeze(number="17", authority="court", state="lifted")
    other = Freeze(number="18", authority="another court", state="frozen")
    found = kept(entry(1), entry(2, facts=other), entry(3, facts=lifted))
    assert standing(found, 1_000) == ["G2", "G3"]
    assert standing(found, 1_000, known_ns=20) == ["G1", "G2"], "as it was known then"


def test_a_correction_counts_for_all_time_but_only_once_it_is_known() -> None:
    found = kept(entry(1), entry(2, corrects="G1", valid_from_ns=500))
    assert standing(found, 100) == [], "G1 was wrong: nothing was frozen before 500"
    assert standing(found, 100, known_ns=15) == ["G1"]
    assert standing(found, 600) == ["G2"]
    voided = kept(entry(1), entry(2, corrects="G1", void=True))
    assert standing(voided, 100) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"product": ""}, "needs product"),
        ({"participant": "P9"}, "takes no participant"),
        ({"valid_from_ns": 7, "valid_until_ns": 7}, "lies after"),
        ({"void": True}, "needs `corrects`"),
        ({"corrects": "G9"}, "no entry G9"),
        ({"corrects": "G2"}, "corrected already"),
    ],
)
def test_what_cannot_be_entered(wrong: dict[str, object], told: str) -> None:
    found = kept(entry(1), entry(2), entry(3, corrects="G2"))
    assert told in (refuse(found, entry(4, **wrong)) or "")
    assert refuse(found, entry(4)) is None


def test_only_what_is_wholly_against_oneself_is_ones_own_to_enter() -> None:
    veto = {"product": "", "participant": "P7"}
    assert is_against(entry(1, facts=ComplianceVeto(state="vetoed"), **veto))
    assert not is_against(entry(1, facts=ComplianceVeto(state="lifted"), **veto))
    assert not is_against(entry(1, facts=Pledge(number="1", state="pledged", consented=True)))
    assert not is_against(entry(1, corrects="G0")), "a correction takes something back"


def test_each_register_says_what_it_feeds_and_who_decides() -> None:
    for row in REGISTERS.values():
        assert row.feeds
        assert row.deciders
        assert row.clause
        assert not row.number or row.number in row.facts.__struct_fields__
        assert all(field in row.facts.__struct_fields__ for field, _ in row.against)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50), st.sampled_from("12")), max_size=12),
    st.integers(0, 100),
    st.integers(0, 130),
)
def test_standing_is_what_looking_at_every_entry_finds(
    rows: list[tuple[int, int, str]], at_ns: int, known_ns: int
) -> None:
    """Against the plainest reading: for each number, the last known entry that is good."""
    made = [
        entry(
            number,
            facts=Freeze(number=which, authority="court", state="frozen"),
            valid_from_ns=start,
            valid_until_ns=start + length,
        )
        for number, (start, length, which) in enumerate(rows, 1)
    ]
    good = [row for row in made if row.at_ns <= known_ns and row.good(at_ns)]
    wanted = {row.facts.number: row.id for row in good}  # type: ignore[union-attr]
    assert sorted(standing(kept(*made), at_ns, known_ns)) == sorted(wanted.values())
