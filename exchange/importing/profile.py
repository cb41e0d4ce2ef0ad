"""A profile: the facts that a file's rows lack, as a merchant attests them. TOML, read whole before anything is sent.

    attested_by = "..."           who says so: a person of the merchant's
    basis = "..."                 on what paper
    [classification] [source] [authorisation] [consent] [registration] [terms]
    [[when]]                      other facts for rows of which `field` matches the regular expression `matches`

The file is the evidence of what it says: products carry its SHA-256, so keep it.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.importing.forms import told
from exchange.listing import MAX_PRICE_FEN
from exchange.product import DECLARED_WORDS
from exchange.web.products import ClassificationBody

GROUPS: Final = (
    "classification",
    "source",
    "authorisation",
    "consent",
    "registration",
    "terms",
    "attributes",
)
Days = Annotated[int, Meta(ge=1, le=3_650)]
Words = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...], Meta(min_length=1, max_length=50)
]
Right = Literal["resource_holding", "processing_use", "product_operation"]


class BadProfile(Exception):
    """The text names the file, the place in it and what to do."""


class Channel(Struct, kw_only=True, forbid_unknown_fields=True):
    """`operation_days`: how long an authorised operation of public data still runs."""

    channel: str
    bypassed_controls: bool | UnsetType = UNSET
    sharing_provider_consent: bool | UnsetType = UNSET
    operation_days: Days | UnsetType = UNSET


class Agreed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the persons behind personal information have agreed to, and for how long."""

    basis: str
    purposes: tuple[str, ...] = ()
    obtained_by: str | UnsetType = UNSET
    coverage_pct: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    guardian: bool | UnsetType = UNSET
    valid_days: Days | UnsetType = UNSET
    cross_border_separate: bool | UnsetType = UNSET


class Allowed(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the lawful right-holder allows, from the day of the import on."""

    purposes: Words
    territories: Words
    field_groups: Words = ("core",)
    deals: Words = ("licence",)
    valid_days: Days = 730
    sublicensable: bool | UnsetType = UNSET
    blanket: bool | UnsetType = UNSET


class Registration(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the reviewer is asked to certify."""

    rights: Annotated[tuple[Right, ...], Meta(min_length=1)] = ("product_operation",)
    valid_days: Days = 730


class Conditions(Struct, kw_only=True, forbid_unknown_fields=True):
    """Terms of every listing, but for its price. The supply is unlimited, so the deal is a licence."""

    purposes: Words
    territories: Words
    right: Right = "product_operation"
    deal: Literal["licence"] = "licence"
    field_group: str = "core"
    term_days: Days = 365
    price_regime: Literal["market", "gov_guided", "cost_recovery"] = "market"
    price_cap_fen: Annotated[int, Meta(ge=0, le=MAX_PRICE_FEN)] = 0
    delivery_days: Days = 3
    acceptance_days: Days = 3
    redelivery_days: Days = 3
    listed_days: Days = 365


class Facts(Struct, kw_only=True, forbid_unknown_fields=True):
    """All that a row needs beside what it says itself."""

    classification: ClassificationBody
    source: Channel
    authorisation: Allowed
    terms: Conditions
    attributes: dict[str, Any] = {}
    """What every listing says in the fields of its board; the venue holds it against them."""
    consent: Agreed = Agreed(basis="none")
    registration: Registration = msgspec.field(default_factory=Registration)


class _When(Struct, kw_only=True, forbid_unknown_fields=True):
    """Facts that hold instead for rows that match."""

    field: str
    matches: str
    classification: dict[str, Any] = {}
    source: dict[str, Any] = {}
    authorisation: dict[str, Any] = {}
    consent: dict[str, Any] = {}
    registration: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


class _Written(Struct, kw_only=True, forbid_unknown_fields=True):
    """The file's shape."""

    attested_by: Annotated[str, Meta(min_length=1)]
    basis: Annotated[str, Meta(min_length=1)]
    classification: dict[str, Any] = {}
    source: dict[str, Any] = {}
    authorisation: dict[str, Any] = {}
    consent: dict[str, Any] = {}
    registration: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    when: list[_When] = []


class Profile:
    """`sha256` names it as evidence."""

    def __init__(self, written: _Written, sha256: str) -> None:
        self.sha256 = sha256
        self.attested_by = written.attested_by
        self._plain = _groups(written)
        self._when = [
            (one.field, re.compile(one.matches, re.IGNORECASE), _groups(one)) for one in written.when
        ]
        self._made: dict[tuple[bool, ...], Facts] = {}
        for chosen in ([], *([number] for number in range(len(self._when)))):
            self._facts(tuple(number in chosen for number in range(len(self._when))))

    def facts(self, content: Mapping[str, Any]) -> Facts:
        """Of this row: the plain ones, and over them each `when` that matches, in the file's order. Raises BadProfile."""
        return self._facts(tuple(bool(found.search(told(content, field))) for field, found, _ in self._when))

    def _facts(self, matching: tuple[bool, ...]) -> Facts:
        if matching not in self._made:
            facts = {group: dict(said) for group, said in self._plain.items()}
            for holds, (_, _, changes) in zip(matching, self._when, strict=True):
                for group, said in changes.items() if holds else ():
                    facts.setdefault(group, {}).update(said)
            self._made[matching] = _checked(msgspec.convert(facts, Facts))
        return self._made[matching]


def _checked(facts: Facts) -> Facts:
    """What the venue would refuse of every row is refused before the first. Raises BadProfile."""
    for group, fields in DECLARED_WORDS.items():
        for field, words in fields.items():
            if (said := getattr(getattr(facts, group), field)) not in (*words, UNSET):
                raise BadProfile(f"{group}.{field} is one of {', '.join(words)}, not {said!r}")
    terms, allowed = facts.terms, facts.authorisation
    for name, offered, within in (
        ("purposes", terms.purposes, allowed.purposes),
        ("territories", terms.territories, allowed.territories),
        ("field_group", (terms.field_group,), allowed.field_groups),
        ("deal", (terms.deal,), allowed.deals),
    ):
        if beyond := [word for word in offered if word not in within]:
            raise BadProfile(f"terms.{name}: {beyond[0]!r} is beyond the authorisation ({', '.join(within)})")
    if terms.right not in facts.registration.rights:
        raise BadProfile(f"terms.right: registration.rights does not name {terms.right}")
    return facts


def _groups(said: Any) -> dict[str, dict[str, Any]]:
    return {group: getattr(said, group) for group in GROUPS if getattr(said, group)}


def read(path: Path) -> Profile:
    """Raises BadProfile, OSError."""
    raw = path.read_bytes()
    try:
        written = msgspec.convert(tomllib.loads(raw.decode()), _Written)
        return Profile(written, hashlib.sha256(raw).hexdigest())
    except (
        tomllib.TOMLDecodeError,
        UnicodeDecodeError,
        msgspec.ValidationError,
        re.error,
        BadProfile,
    ) as error:
        raise BadProfile(f"{path}: {error}; `shuji import --example-profile open_data` prints one") from error


def example(name: str) -> str:
    """The text of a profile that comes with the venue."""
    return resources.files("exchange.importing").joinpath("profiles", f"{name}.toml").read_text("utf-8")


def unstated() -> Iterator[str]:
    """The fields of a classification that a row without a profile leaves unknown."""
    yield from ("origin", "data_class", "secret_kind", "public_risk", "pi_state", "open_class")
