"""Who comes to a day: an operator, a reviewer, merchants of three characters, buyers with a purpose.

Each person is known by a label, which every run of a seed has in common; keys, credit codes and the venue's own
numbers are new every time, so that one venue can have many days.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from stdnum.cn import uscc

from clearing.contract import Declarations, Security, Side, signing_text
from exchange import keys
from exchange.client import uuid7
from exchange.day.door import Answer, DayBroken, Door, Person

CASH_FEN: Final = 10**12
TWO_YEARS_DAYS: Final = 730
DAY_S: Final = 86_400
OPENS_AT_H: Final = 1
"""UTC; nine in the morning in Beijing."""
GROUPS: Final = ("classification", "source", "authorisation", "consent")
SECURITY: Final = Security(method="dataset", duties=("encryption", "deletion"))
HONEST: Final = Declarations(
    for_foreign_judicial=False,
    reidentification_intent=False,
    human_research=False,
    related_disclosed=False,
    security_terms_accepted=True,
    log_retention_months=36,
)
"""What a buyer with nothing to hide declares."""
RIGHTS: Final = ("resource_holding", "processing_use", "product_operation")


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Town:
    """Everybody who is there, and what only officials do."""

    def __init__(self, door: Door, operator: keys.Key) -> None:
        self.door = door
        self.now: datetime = door.clock()[0]
        self.run = secrets.token_hex(4)
        self.people: dict[str, Person] = {}
        self._agreed: dict[tuple[str, str], None] = {}
        self.personal: list[str] = []
        self.operator = Person(door, operator, "operator", operator.participant)
        self.reviewer = self.newcomer("reviewer")
        self.operator.post(f"/v1/participants/{self.reviewer.participant}/roles", {"role": "reviewer"})

    # -- people

    def newcomer(self, label: str, *roles: str) -> Person:
        """Registered, nothing more."""
        key = keys.Key.make()
        code = _invented_uscc() if roles else ""
        body = {
            "legal_name": f"{label} {self.run}",
            "public_key": key.public_key,
            "roles": list(roles),
            "uscc": code,
            "owner_id": self._owner(label),
            "group_id": f"group-{self.run}-{label}",
            "region": "CN-46",
            "agent": {"name": "张三", "contact": f"{label}@shuji.example"},
            "signature": key.sign_registration(code),
        }
        answer = self.door.ask("POST", "/v1/participants", body, key=uuid7()).must()
        person = self.people[label] = Person(self.door, key, label, str(answer["participant"]))
        return person

    def _owner(self, label: str) -> str:
        return f"owner-{self.run}-{label}"

    def verify(self, person: Person, owned_as: str = "", grouped_as: str = "") -> None:
        """By the same owner as another label, or in its group, where one is given."""
        body = {
            "accept": True,
            "owner_id": self._owner(owned_as or person.label),
            "group_id": f"group-{self.run}-{grouped_as or person.label}",
            "mandate_until": self.in_days(TWO_YEARS_DAYS),
            "evidence_sha256": sha256_of("licence and mandate"),
            "reasons": [],
        }
        self.reviewer.post(f"/v1/participants/{person.participant}/identity", body)

    def buyer(self, label: str, cash_fen: int = CASH_FEN, owned_as: str = "", grouped_as: str = "") -> Person:
        person = self.newcomer(label, "buyer")
        self.verify(person, owned_as, grouped_as)
        if cash_fen:
            self.cash_in(person, cash_fen)
        return person

    def cash_in(self, person: Person, amount_fen: int = CASH_FEN) -> None:
        body = {
            "participant": person.participant,
            "amount_fen": amount_fen,
            "bank_reference": f"DAY-{self.run}-{person.label}",
        }
        self.operator.post("/v1/cash-in", body)

    def merchant(self, label: str, *roles: str) -> Person:
        """Verified and accredited."""
        person = self.newcomer(label, "merchant", *roles)
        self.verify(person)
        person.post("/v1/participants/me/accreditation", {"evidence_sha256": sha256_of("application")})
        self.accreditation(person, "accredit", valid_until=self.in_days(TWO_YEARS_DAYS))
        return person

    def accreditation(self, person: Person, step: str, **more: Any) -> None:
        body = {"step": step, "evidence_sha256": sha256_of(step), "reasons": [f"{step}: 交易日演练"], **more}
        self.reviewer.post(f"/v1/participants/{person.participant}/accreditation", body)

    def suspend_credential(self, person: Person) -> None:
        """Under four eyes: one verified reviewer proposes, one of another house confirms."""
        for step, actor in (("suspend", self._official("first")), ("confirm", self._official("second"))):
            body = {"step": step, "evidence_sha256": sha256_of(step), "reasons": [f"{step}: 交易日演练"]}
            actor.post(f"/v1/participants/{person.participant}/accreditation", body)

    def _official(self, label: str) -> Person:
        """A verified reviewer, who is none of the people that trade."""
        person = self.newcomer(label)
        del self.people[label]
        self.operator.post(f"/v1/participants/{person.participant}/roles", {"role": "reviewer"})
        self.verify(person)
        return person

    def ban(self, person: Person) -> None:
        body = {"until": self.in_days(TWO_YEARS_DAYS), "reason": "失信惩戒（演练）"}
        self.operator.post(f"/v1/participants/{person.participant}/ban", body)

    # -- time

    def in_days(self, days: float) -> str:
        return (self.now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def advance(self, *, days: int = 0, seconds: int = 60) -> None:
        """Every date that lies before the new instant has passed then."""
        self.operator.post("/v1/clock/advance", {"seconds": days * DAY_S + seconds})
        self.now = self.door.clock()[0]

    def until_opening(self) -> None:
        """To the next opening, so that midnights fall alike in every day."""
        opening = self.now.replace(hour=OPENS_AT_H, minute=0, second=0, microsecond=0)
        left_s = int((opening - self.now).total_seconds()) % DAY_S
        self.advance(seconds=left_s + 1)

    # -- products and listings

    def declaration(self, changes: dict[str, Any]) -> dict[str, Any]:
        """A registration of harmless enterprise data; a named group is changed, not replaced."""
        body: dict[str, Any] = {
            "description": _DESCRIPTION,
            "classification": _CLASSIFICATION,
            "source": {
                "channel": "self_generated",
                "statement": "自有业务系统产生",
                "bypassed_controls": False,
                "sharing_provider_consent": True,
                "operation_until": self.in_days(TWO_YEARS_DAYS),
            },
            "authorisation": {
                "purposes": ["market_analysis", "risk_control"],
                "territories": ["CN", "HK"],
                "field_groups": ["core", "extended"],
                "deals": ["licence", "exclusive_licence", "transfer"],
                "valid_from": self.in_days(-30),
                "valid_until": self.in_days(TWO_YEARS_DAYS),
                "sublicensable": True,
                "blanket": False,
            },
            "consent": {
                "basis": "none",
                "purposes": [],
                "obtained_by": "free",
                "coverage_pct": 100,
                "guardian": False,
                "valid_until": self.in_days(TWO_YEARS_DAYS),
                "cross_border_separate": False,
            },
            "shares": [],
            "evidence": {group: sha256_of(group) for group in GROUPS},
        }
        for group, change in changes.items():
            body[group] = {**body[group], **change} if isinstance(change, dict) else change
        return body

    def product(self, merchant: Person, declared: dict[str, Any], decided: dict[str, Any]) -> Answer:
        """The reviewer's decision, or the refusal that came before it; `body` has the product."""
        answer = merchant.ask("POST", "/v1/products", self.declaration(declared))
        if not answer.done:
            return answer
        body = {
            "decision": "register",
            "revision": 1,
            "confirmed": list(GROUPS),
            "rights": list(RIGHTS),
            "valid_until": self.in_days(TWO_YEARS_DAYS),
            "reasons": [],
            **decided,
        }
        decision = self.reviewer.ask("POST", f"/v1/products/{answer.body['product']}/decision", body)
        if decision.done and declared.get("classification", {}).get("pi_state") == "identifiable":
            self._assess(str(answer.body["product"]))
        return decision

    def _assess(self, product: str) -> None:
        """Personal information is assessed before anything is sold (个人信息保护法 55)."""
        self.personal.append(product)
        self.enter("assessments", {"kind": "impact_assessment", "result": "passed"}, product=product)

    def tell_persons_of(self, buyers: Iterable[Person]) -> None:
        """The persons behind personal information are told of every recipient there may be (个人信息保护法 23)."""
        for buyer in buyers:
            for product in self.personal:
                subject = {"product": product, "participant": buyer.participant}
                self.enter("recipient_notices", {"named": True}, **subject)

    def enter(self, register: str, facts: dict[str, Any], **subject: str) -> None:
        body = {
            "facts": facts,
            "evidence_sha256": sha256_of(register),
            "reason": f"演练 {register}",
            **subject,
        }
        self.reviewer.post(f"/v1/registers/{register}/entries", body)

    def said(self, board: str) -> dict[str, Any]:
        """What the examples of a board's fields say."""
        fields = self.reviewer.ask("GET", f"/v1/boards/{board}").body["fields"]
        return {field["name"]: field["example"] for field in fields}

    def listing(self, merchant: Person, product: str, board: str, terms: dict[str, Any]) -> Answer:
        """Drafted, submitted, approved, or the first refusal; `body` has the listing."""
        body = {
            "product": product,
            "board": board,
            "terms": {**_TERMS, **terms},
            "attributes": self.said(board),
        }
        answer = merchant.ask("POST", "/v1/listings", body)
        if not answer.done:
            return answer
        place = f"/v1/listings/{answer.body['listing']}"
        answer = merchant.ask("POST", f"{place}/submit", {})
        tariff = {"tariff_sha256": sha256_of("收费标准")} if board == "public_data" else {}
        answer = self.reviewer.ask("POST", f"{place}/approve", tariff) if answer.done else answer
        if answer.done:
            self.offer_contract(merchant, answer.body["listing"])
        return answer

    # -- contracts

    def offer_contract(self, merchant: Person, listing: str) -> None:
        """Its merchant signs the listing's contract, unless it has."""
        asked = f"method={SECURITY.method}&duties={','.join(SECURITY.duties)}"
        shown = merchant.get(f"/v1/listings/{listing}/contract")
        if shown["state"] == "draft":
            shown = merchant.get(f"/v1/listings/{listing}/contract?{asked}")
            self._sign(merchant, listing, "merchant", shown["sha256"], SECURITY)

    def agree(self, buyer: Person, listing: str, declared: Declarations = HONEST) -> None:
        """A buyer signs a listing's contract once. Where it may not, its orders hear the reason."""
        if (buyer.label, listing) in self._agreed:
            return
        shown = buyer.ask("GET", f"/v1/listings/{listing}/contract")
        if not shown.done or shown.body["state"] != "live":
            return
        if (
            shown.body["own"] is not None
            or self._sign(buyer, listing, "buyer", shown.body["sha256"], declared).done
        ):
            self._agreed[buyer.label, listing] = None

    @staticmethod
    def _sign(
        person: Person, listing: str, side: Side, sha256: str, declared: Security | Declarations
    ) -> Answer:
        text = signing_text(side, person.participant, sha256, declared)
        said = "security" if side == "merchant" else "declarations"
        body = {"sha256": sha256, "signature": person.key.sign(text), said: msgspec.to_builtins(declared)}
        return person.ask("POST", f"/v1/listings/{listing}/contract/signatures", body)

    def amend(self, merchant: Person, product: str, group: str, changes: dict[str, Any]) -> None:
        """One group of facts declared anew and confirmed."""
        content = self.declaration({group: changes})[group]
        body = {"evidence_sha256": sha256_of(f"{group} anew"), group: content}
        revision = merchant.post(f"/v1/products/{product}/facts", body)["revision"]
        seen = {
            "revision": revision,
            "groups": [group],
            "evidence": {group: sha256_of(f"{group} anew")},
        }
        self.reviewer.post(f"/v1/products/{product}/confirmations", seen)

    def record(self, product: str, entry: str, by: Person | None = None) -> None:
        body = {"entry": entry, "evidence_sha256": sha256_of(entry), "reason": f"演练 {entry}"}
        (by or self.reviewer).post(f"/v1/products/{product}/records", body)


def merchants_in(door: Door, data: Path) -> Iterator[Person]:
    """Holders of all the key files in the folder but the sample's; in the order of their names."""
    for path in sorted(data.glob("*.key")):
        key = None if path.name.startswith("sample-") else _participants_key(path)
        if key is not None:
            yield Person(door, key, path.name, key.participant)


def _participants_key(path: Path) -> keys.Key | None:
    """None where the file is another kind of key, or its holder has not registered."""
    try:
        key = keys.read(path)
    except keys.KeyFileError:
        return None
    return key if key.participant else None


def operator_key(path: Path) -> keys.Key:
    """Raises KeyFileError, and DayBroken where the file does not say whose key it is."""
    key = keys.read(path)
    if not key.participant:
        raise DayBroken(
            f"{path} does not say whose key it is; sign in with it once: shuji login --key {path}"
        )
    return key


def _invented_uscc() -> str:
    """A unified social credit code of nobody, with both its check digits (GB 32100 and, inside, GB 11714)."""
    body = f"{secrets.randbelow(10**8):08d}"
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    rest = 11 - sum(weight * int(digit) for weight, digit in zip(weights, body, strict=True)) % 11
    code = "91460000" + body + {10: "X", 11: "0"}.get(rest, str(rest))
    return code + str(uscc.calc_check_digit(code))


_DESCRIPTION: Final = {
    "title": "港口集装箱吞吐量月度统计 Monthly container throughput",
    "summary": "分港区、分航线的集装箱吞吐量。Throughput by terminal and route.",
    "fields": [
        {"name": "month", "type": "date", "group": "core", "description": "月份"},
        {"name": "teu", "type": "integer", "group": "core", "description": "标准箱"},
        {"name": "route", "type": "text", "group": "extended", "description": "航线"},
    ],
    "update_frequency": "monthly",
    "quality_statement": "完整率不低于 99%",
    "sample": ['{"month":"2026-01","teu":1200}', '{"month":"2026-02","teu":1100}'],
    "tags": ["交易日演练"],
}
_CLASSIFICATION: Final = {
    "origin": "enterprise",
    "data_class": "general",
    "secret_kind": "none",
    "public_risk": "none",
    "pi_state": "none",
    "open_class": "not_applicable",
    "declassified": False,
    "derived": False,
    "right_holders_agree": False,
    "sensitive_pi": False,
    "under14": False,
    "directly_identifying": False,
    "human_genetic": False,
    "export_controlled": False,
    "emergency_collected": False,
    "raw_leaves_domain": False,
    "redeveloped": False,
    "licence_required": False,
    "required_security_level": 0,
    "storage_region": "CN",
    "sm_crypto": True,
    "medical_records": False,
    "face_plate_video": False,
    "persons": 0,
    "sensitive_persons": 0,
}
_TERMS: Final = {
    "right": "product_operation",
    "deal": "licence",
    "purposes": ["market_analysis"],
    "territories": ["CN"],
    "field_group": "core",
    "term_days": 90,
    "mechanism": "posted_price",
    "supply": "unlimited",
    "supply_units": 0,
    "price_regime": "market",
    "price_fen": 50_000,
    "price_per_units": 1,
    "price_cap_fen": 0,
    "delivery_days": 3,
    "acceptance_days": 3,
    "redelivery_days": 3,
    "listed_days": 365,
}
