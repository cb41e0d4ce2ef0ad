"""A venue as its users meet it, over HTTP and the command line: for load tests and for the acceptance checks.

    venue = Venue(folder).start()
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=50_000)
    trade = venue.trade(buyer, listing)

Everything is asked for by the role that may ask for it. Nothing here knows how the venue is built: only the
contract of the API, the commands, and the files that the first start leaves in the data folder. An answer that is
not what the story needs is an AssertionError that shows it.
"""

import base64
import dataclasses
import datetime
import hashlib
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from stdnum.cn import uscc

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SHUJI_SHARED", ROOT.parent / "shared"))
START_SECONDS = 60
PROBLEM = "application/problem+json"
RIGHTS = ["resource_holding", "processing_use", "product_operation"]
HARMLESS = {
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
"""What a merchant says of data that is about nobody and harms nobody."""
GROUPS = ["classification", "source", "authorisation", "consent"]
TWO_YEARS_DAYS = 730
FIRST_RULES = """
A01 A02 A03 B01 B02 B03 B04 B05 B06 B07 B10 B11 B12 B13 B14 B16 B17
C01 C02 C05 C07 D01 D02 D05 D06 E01 E02 E03 E05 F02
"""
RULES = FIRST_RULES.split()

BUYING = ("/v1/orders", "/v1/orders/batch", "/v1/trade-reports")
HONEST = {
    "for_foreign_judicial": False,
    "reidentification_intent": False,
    "human_research": False,
    "related_disclosed": False,
    "security_terms_accepted": True,
    "log_retention_months": 36,
    "entrustment_sha256": "",
}
"""What a buyer with nothing to hide declares."""

_numbers = itertools.count(int.from_bytes(secrets.token_bytes(2)) * 100)


def sha256_of(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def declared_sha256(declared: dict[str, Any]) -> str:
    """As the door says it: JSON, keys sorted, no spaces, integers as decimal strings."""
    said = {key: str(value) if type(value) is int else value for key, value in declared.items()}
    return sha256_of(json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def instant(at: datetime.datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parsed(text: str) -> datetime.datetime:
    at = datetime.datetime.fromisoformat(text)
    assert at.tzinfo is not None, f"an instant without a zone: {text}"
    return at


def invented_uscc() -> str:
    """A unified social credit code of nobody, with both its check digits (GB 32100 and, inside, GB 11714)."""
    body = f"TE{next(_numbers) % 1_000_000:06d}"
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    values = [int(letter) if letter.isdigit() else ord(letter) - 55 for letter in body]
    rest = 11 - sum(weight * value for weight, value in zip(weights, values, strict=True)) % 11
    code = "91460000" + body + {10: "X", 11: "0"}.get(rest, str(rest))
    return code + str(uscc.calc_check_digit(code))


def command_id(at: datetime.datetime) -> str:
    """A UUID version 7 of that instant (RFC 9562, 5.7)."""
    high = int(at.timestamp() * 1000) << 80
    number = high | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def shuji(
    *arguments: str, stdin: str | None = None, seconds: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The `shuji` command of this checkout, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "exchange", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


# ------------------------------------------------------------------------------------ what answers must say


def done(answer: httpx.Response, *statuses: int) -> Any:
    """The body of an answer that must be a success (one of these statuses, where the contract says which)."""
    expected = statuses or (200, 201, 202, 204)
    where = f"{answer.request.method} {answer.request.url}"
    assert answer.status_code in expected, f"{where}: {answer.status_code} {answer.text[:2000]}"
    return answer.json() if answer.content else None


def refused(answer: httpx.Response, status: int, *codes: str) -> dict[str, Any]:
    """The problem of an answer that must be a refusal of that status and (one of) these codes (RFC 9457)."""
    where = f"{answer.request.method} {answer.request.url}"
    assert answer.status_code == status, f"{where}: {answer.status_code} {answer.text[:2000]}"
    assert answer.headers["content-type"].startswith(PROBLEM), answer.headers["content-type"]
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"].endswith("/problems/" + problem["code"])
    assert problem["title"], problem
    assert problem["detail"], problem
    assert not codes or problem["code"] in codes, problem
    return problem


def rules_named(violated: list[dict[str, Any]]) -> set[str]:
    """Ids of the violated rules; each must say why, in Chinese and in English, and by what article."""
    for entry in violated:
        assert has_chinese(entry["message_zh"]), entry
        assert entry["message_en"], entry
        assert not has_chinese(entry["message_en"]), entry
        assert entry["citations"], f"no article named: {entry}"
        for citation in entry["citations"]:
            assert citation["zh"], citation
            assert citation["en"], citation
            assert citation["authority"], citation
    return {entry["rule"] for entry in violated}


def has_chinese(text: str) -> bool:
    return any("一" <= letter <= "鿿" for letter in text)


def unlawful(answer: httpx.Response, *rules: str) -> dict[str, Any]:
    """The answer must refuse by exactly these rules: before the book (422) or at clearing (refused trade)."""
    if answer.status_code == 201:
        trade: dict[str, Any] = answer.json()["trades"][0]
        assert trade["state"] == "refused", answer.text
        assert rules_named(trade["violated"]) == set(rules), answer.text
        return trade
    problem = refused(answer, 422, "unlawful")
    assert rules_named(problem["violated"]) == set(rules), answer.text
    return problem


def unknown(answer: httpx.Response) -> list[dict[str, Any]]:
    """The answer must refuse because something needed is not known; gives [{rule, fields}]."""
    body = answer.json()["trades"][0] if answer.status_code == 201 else refused(answer, 422, "unlawful")
    assert body["unknown"], answer.text
    assert all(entry["rule"] and entry["fields"] for entry in body["unknown"]), answer.text
    found: list[dict[str, Any]] = body["unknown"]
    return found


# -------------------------------------------------------------------------------------------------- persons


@dataclasses.dataclass
class Person:
    """Somebody with a key. Signs in when needed, again after the clock was moved."""

    venue: "Site"
    key: Ed25519PrivateKey
    participant: str = ""
    uscc: str = ""
    name: str = ""
    purpose: str = ""
    _token: str = ""
    _signed_in_at: int = -1

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def keep(self, path: Path) -> None:
        """Into a key file, as `shuji key` makes them."""
        private = base64.b64encode(self.key.private_bytes_raw()).decode()
        content = {"public_key": self.public_key, "private_key": private, "participant": self.participant}
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))

    def sign(self, text: str) -> str:
        return base64.b64encode(self.key.sign(text.encode())).decode()

    def sign_in(self) -> str:
        asked = self.venue.http.post("/v1/login/challenge", json={"participant": self.participant})
        challenge = done(asked)["challenge"]
        body = {"participant": self.participant, "challenge": challenge, "signature": self.sign(challenge)}
        return str(done(self.venue.http.post("/v1/login", json=body))["token"])

    @property
    def token(self) -> str:
        if self._signed_in_at != self.venue.clock_moves:
            self._token, self._signed_in_at = self.sign_in(), self.venue.clock_moves
        return self._token

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An auditor's reads say why, unless the caller does: `purpose` is none of anybody else's."""
        why = {"Shuji-Purpose": self.purpose} if self.purpose and method == "GET" else {}
        headers = {"Authorization": f"Bearer {self.token}", **why, **options.pop("headers", {})}
        return self.venue.http.request(method, path, headers=headers, **options)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.ask("GET", path, params=parameters)

    def post(self, path: str, body: Any = None, key: str = "", *, signed: bool = True) -> httpx.Response:
        """Whoever orders, or reports a purchase, signs the listing's contract first, unless told not to."""
        if signed and path in BUYING:
            self.venue.agree_for(self, body)
        headers = {"Idempotency-Key": key} if key else {}
        return self.ask("POST", path, json={} if body is None else body, headers=headers)

    def put(self, path: str, body: Any) -> httpx.Response:
        return self.ask("PUT", path, json=body)

    def delete(self, path: str) -> httpx.Response:
        return self.ask("DELETE", path)

    def every(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All items of a list, page by page along `Link: rel="next"`."""
        answer = self.get(path, **parameters)
        while True:
            yield from done(answer, 200)["items"]
            following = answer.links.get("next")
            if following is None:
                return
            answer = self.ask("GET", following["url"])

    def account(self, asset: str = "CNY") -> dict[str, int]:
        """balance, reserved and available of one asset; zeros where there is no account yet."""
        items = done(self.get("/v1/accounts/me"), 200)["items"]
        empty = {"balance": 0, "reserved": 0, "available": 0}
        return next((item for item in items if item["asset"] == asset), empty)

    @property
    def balance(self) -> int:
        return self.account()["balance"]

    def name_payout_account(self, account: str = "6222000000000042") -> httpx.Response:
        """Say where one's money is paid out to, signed."""
        bank_code = "102641000017"
        text = f"shuji-payout-account:{self.participant}:{bank_code}:{account}"
        body = {"account": account, "bank_code": bank_code, "signature": self.sign(text)}
        return self.post("/v1/bank/payout-account", body)

    def withdraw(self, amount_fen: int, key: str = "", signer: "Person | None" = None) -> httpx.Response:
        """Ask for money to leave by the bank: signed each time, over the amount and the id that makes it one request."""
        key = key or command_id(parsed(done(self.venue.http.get("/v1/venue"), 200)["clock"]["now"]))
        text = f"shuji-withdraw:{self.participant}:{amount_fen}:{key}"
        body = {"amount_fen": amount_fen, "signature": (signer or self).sign(text)}
        return self.post("/v1/withdrawals", body, key)


# ---------------------------------------------------------------------------------------------------- venue


class Site:
    """A venue at an address: all that a person needs of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock_moves = 0
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self.people: dict[str, Person] = {}
        self._agreed: dict[tuple[str, str], None] = {}

    def person(self, key_file: Path) -> Person:
        """Whoever a key file belongs to."""
        content = json.loads(key_file.read_text())
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(content["private_key"]))
        person = Person(self, key, participant=content["participant"])
        self.people[person.participant] = person
        return person

    # -- contracts

    def offer_contract(self, merchant: Person, listing: str, **changes: Any) -> httpx.Response:
        """The merchant signs its listing's contract with security clauses of both kinds, but for `changes`."""
        security = {"method": "dataset", "duties": ["encryption", "deletion"], **changes}
        asked = {"method": security["method"], "duties": ",".join(security["duties"])}
        shown = done(merchant.get(f"/v1/listings/{listing}/contract", **asked), 200)
        return self.send_signature(merchant, listing, "merchant", shown["sha256"], security)

    def sign_contract(self, buyer: Person, listing: str, **changes: Any) -> httpx.Response:
        """A buyer signs what stands, with honest declarations but for `changes`."""
        shown = buyer.get(f"/v1/listings/{listing}/contract")
        if shown.is_error:
            return shown
        return self.send_signature(buyer, listing, "buyer", shown.json()["sha256"], {**HONEST, **changes})

    def agree(self, buyer: Person, listing: str) -> None:
        """Whatever is still to be signed before this buyer can order, is; where nobody may sign, nobody does."""
        if (buyer.participant, listing) in self._agreed:
            return
        shown = buyer.get(f"/v1/listings/{listing}/contract")
        if shown.is_error:
            return
        if shown.json()["state"] == "draft":
            self._offer_as_merchant(buyer, listing)
        if shown.json()["own"] is not None or self.sign_contract(buyer, listing).status_code == 201:
            self._agreed[buyer.participant, listing] = None

    def agree_for(self, buyer: Person, body: Any) -> None:
        """What an order, a batch of them or a report of a purchase needs to be signed."""
        for one in body if isinstance(body, list) else [body]:
            if isinstance(one, dict) and one.get("side", "buy") == "buy" and one.get("listing"):
                self.agree(buyer, str(one["listing"]))

    def _offer_as_merchant(self, buyer: Person, listing: str) -> None:
        """Where its merchant is one of the people here."""
        shown = buyer.get(f"/v1/listings/{listing}")
        merchant = None if shown.is_error else self.people.get(shown.json()["merchant"])
        if merchant is not None:
            self.offer_contract(merchant, listing)

    def send_signature(
        self, person: Person, listing: str, side: str, sha256: str, declared: dict[str, Any]
    ) -> httpx.Response:
        text = f"shuji-contract:{side}:{person.participant}:{sha256}:{declared_sha256(declared)}"
        said = "security" if side == "merchant" else "declarations"
        body = {"sha256": sha256, "signature": person.sign(text), said: declared}
        return person.post(f"/v1/listings/{listing}/contract/signatures", body)


class Venue(Site):
    """One `shuji serve` process on a free port of this machine, with its data folder."""

    def __init__(self, data: Path, *options: str, dsn: str = "", clean: bool = True) -> None:
        self.data = data
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.log = data.parent / f"venue-{self.port}.log"
        self.options = (*(("--simulated-clock", "--no-sample") if clean else ()), *options)
        self.dsn = dsn
        self.process: subprocess.Popen[bytes] | None = None
        self._operator: Person | None = None
        self._desk: Person | None = None
        self._pair: list[Person] = []
        self._personal: dict[str, dict[str, bool]] = {}
        self._offered: dict[str, str] = {}
        self._filled_in: dict[str, dict[str, Any]] = {}

    # -- the process

    def launch(self) -> Self:
        """Start the process without waiting for it."""
        arguments = ["serve", "--data", str(self.data), "--port", str(self.port), *self.options]
        if self.dsn:
            arguments += ["--dsn", self.dsn]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "exchange", *arguments], cwd=ROOT, stdout=log, stderr=log
            )
        return self

    def start(self) -> Self:
        self.launch()
        self.wait_until_ready()
        return self

    def is_ready(self) -> bool:
        try:
            return self.http.get("/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            ended = self.process is None or self.process.poll() is not None
            assert not ended, f"the venue ended by itself:\n{self.said()[-4000:]}"
            assert time.monotonic() < deadline, f"not ready after {seconds} s:\n{self.said()[-4000:]}"
            time.sleep(0.05)

    def said(self) -> str:
        """Everything the process printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None, "the venue was not started"
        return self.process.pid

    def stop(self) -> int:
        """End it as an operator would (SIGTERM); gives its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self.process = None
        return status

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=30)
        self.process = None

    def close(self) -> None:
        self.http.close()
        if self.process is not None:
            self.stop()

    def restart(self) -> Self:
        """Start it again on the same data and port; everybody signs in anew."""
        self.clock_moves += 1
        return self.start()

    def postgres_pids(self) -> list[int]:
        """Processes named `postgres` whose parent is this venue: its embedded servers."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if name == "postgres" and int(rest.split()[1]) == self.pid:
                found.append(int(folder.name))
        return found

    @property
    def database(self) -> str:
        """The DSN of the embedded PostgreSQL, as the venue leaves it for its owner's other programs."""
        return str(json.loads((self.data / "postgres.json").read_text())["dsn"])

    # -- the clock

    def now(self) -> datetime.datetime:
        return parsed(done(self.http.get("/v1/venue"), 200)["clock"]["now"])

    def in_days(self, days: float) -> str:
        return instant(self.now() + datetime.timedelta(days=days))

    def advance(self, *, days: float = 0, seconds: int = 0) -> None:
        """Move the simulated clock forward; tokens of before may have ended."""
        body = {"seconds": int(days * 86_400) + seconds}
        done(self.operator.post("/v1/clock/advance", body))
        self.clock_moves += 1

    def new_id(self) -> str:
        return command_id(self.now())

    # -- people

    @property
    def operator(self) -> Person:
        if self._operator is None:
            self._operator = self.holder_of("operator.key")
        return self._operator

    def holder_of(self, key_file: str) -> Person:
        """Whoever a key file of the data folder belongs to."""
        return self.person(self.data / key_file)

    def key_file(self, person: Person) -> Path:
        """A key file for the command line, beside the operator's."""
        raw = person.key.public_key().public_bytes_raw(), person.key.private_bytes_raw()
        public, private = (base64.b64encode(part).decode() for part in raw)
        content = {"public_key": public, "private_key": private, "participant": person.participant}
        path = self.data / f"{person.participant}.key"
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path

    def stranger(self) -> Person:
        """A key that nobody has registered."""
        return Person(
            self, Ed25519PrivateKey.generate(), uscc=invented_uscc(), name=f"示例公司 {next(_numbers)}"
        )

    def register(self, person: Person, *roles: str, **changes: Any) -> httpx.Response:
        body: dict[str, Any] = {
            "legal_name": person.name,
            "public_key": person.public_key,
            "roles": list(roles),
            "uscc": person.uscc,
            "owner_id": f"owner-{person.uscc}",
            "group_id": f"group-{person.uscc}",
            "region": "CN-46",
            "agent": {"name": "张三", "contact": "zhangsan@shuji.example"},
            "signature": person.sign(f"shuji-register:{person.public_key}:{person.uscc}"),
        }
        return self.http.post("/v1/participants", json={**body, **changes})

    def participant(self, *roles: str, **changes: Any) -> Person:
        """Registered, nothing more: unverified, unaccredited."""
        person = self.stranger()
        if not roles:
            person.uscc = ""
        person.participant = done(self.register(person, *roles, **changes), 201)["participant"]
        self.people[person.participant] = person
        return person

    def official(self, role: str) -> Person:
        """One of a house of its own, whom nobody has verified."""
        person = self.participant(owner_id="", group_id="")
        done(self.operator.post(f"/v1/participants/{person.participant}/roles", {"role": role}))
        return person

    def verified_official(self, role: str) -> Person:
        """One whose identity the desk has verified: may draft and approve rules, and reverse transactions."""
        person = self.official(role)
        done(self.verify_identity(person))
        return person

    def reviewer(self) -> Person:
        return self.official("reviewer")

    def auditor(self) -> Person:
        """Whose reads all say why."""
        person = self.official("auditor")
        person.purpose = "audit of the year"
        return person

    @property
    def desk(self) -> Person:
        """The reviewer of the stories in which it does not matter who reviews."""
        if self._desk is None:
            self._desk = self.reviewer()
        return self._desk

    def verify_identity(self, person: Person, by: Person | None = None, **changes: Any) -> httpx.Response:
        body: dict[str, Any] = {
            "accept": True,
            "owner_id": f"owner-{person.uscc or person.participant}",
            "group_id": f"group-{person.uscc or person.participant}",
            "mandate_until": self.in_days(TWO_YEARS_DAYS),
            "evidence_sha256": sha256_of("licence and mandate"),
            "reasons": [],
        }
        path = f"/v1/participants/{person.participant}/identity"
        return (by or self.desk).post(path, {**body, **changes})

    def buyer(self, *, cash_fen: int = 100_000_000, **identity: Any) -> Person:
        """Verified, with money at the custody bank."""
        person = self.participant("buyer")
        done(self.verify_identity(person, **identity))
        if cash_fen:
            self.cash_in(person, cash_fen)
        return person

    def merchant(self, *roles: str, credential_days: float = TWO_YEARS_DAYS, **identity: Any) -> Person:
        """Verified and accredited; `roles` come on top."""
        person = self.participant("merchant", *roles)
        done(self.verify_identity(person, **identity))
        applied = {"evidence_sha256": sha256_of("application")}
        done(person.post("/v1/participants/me/accreditation", applied))
        done(self.accreditation(person, "accredit", valid_until=self.in_days(credential_days)))
        return person

    def accreditation(
        self, person: Person, step: str, by: Person | None = None, **changes: Any
    ) -> httpx.Response:
        body = {
            "step": step,
            "evidence_sha256": sha256_of(step),
            "reasons": [f"{step} for a test"],
            **changes,
        }
        return (by or self.desk).post(f"/v1/participants/{person.participant}/accreditation", body)

    def discipline(self, person: Person, step: str, **changes: Any) -> httpx.Response:
        """Suspend or revoke an accreditation: one verified reviewer proposes, one of another house confirms."""
        while len(self._pair) < 2:
            self._pair.append(self.verified_official("reviewer"))
        done(self.accreditation(person, step, by=self._pair[0], **changes))
        return self.accreditation(person, "confirm", by=self._pair[1])

    def ban(self, person: Person, until: str | None) -> None:
        body = {"until": until, "reason": "失信惩戒"}
        done(self.operator.post(f"/v1/participants/{person.participant}/ban", body))

    def cash_in(self, person: Person, amount_fen: int) -> None:
        body = {
            "participant": person.participant,
            "amount_fen": amount_fen,
            "bank_reference": f"BANK-{next(_numbers)}-{secrets.token_hex(4)}",
        }
        done(self.operator.post("/v1/cash-in", body), 201)

    # -- products

    def declaration(self, **changes: Any) -> dict[str, Any]:
        """The body of a registration of harmless enterprise data; a named group is changed, not replaced."""
        body: dict[str, Any] = {
            "description": {
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
                "tags": ["港口", "logistics"],
            },
            "classification": {
                "origin": "enterprise",
                "data_class": "general",
                "secret_kind": "none",
                "public_risk": "none",
                "pi_state": "none",
                "open_class": "not_applicable",
                "declassified": False,
                "derived": False,
                "right_holders_agree": False,
                **HARMLESS,
            },
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
                "deals": ["licence", "exclusive_licence"],
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
            body[group] = {**body[group], **change} if isinstance(body[group], dict) else change
        return body

    def submit_product(self, merchant: Person, **changes: Any) -> httpx.Response:
        return merchant.post("/v1/products", self.declaration(**changes))

    def decide_product(self, product: str, by: Person | None = None, **changes: Any) -> httpx.Response:
        body: dict[str, Any] = {
            "decision": "register",
            "revision": 1,
            "confirmed": GROUPS,
            "rights": RIGHTS,
            "valid_until": changes.pop("valid_until", None) or self.in_days(TWO_YEARS_DAYS),
            "reasons": [],
        }
        return (by or self.desk).post(f"/v1/products/{product}/decision", {**body, **changes})

    def product(self, merchant: Person, decided: dict[str, Any] | None = None, **changes: Any) -> str:
        """A registered product; `decided` changes the decision, the rest the declaration."""
        product = str(done(self.submit_product(merchant, **changes), 201)["product"])
        done(self.decide_product(product, **(decided or {})), 200)
        self.assess(product, **changes)
        return product

    def assess(self, product: str, **declared: Any) -> None:
        """What a careful merchant has done about personal information: an impact assessment, before anything is sold."""
        if declared.get("classification", {}).get("pi_state") in ("identifiable", "deidentified"):
            self._personal[product] = {}
            self.enter("assessments", {"kind": "impact_assessment", "result": "passed"}, product=product)

    def tell_persons_of(self, buyer: Person, product: str) -> None:
        """The persons behind personal information are told of each recipient, once."""
        told = self._personal.get(product)
        if told is not None and buyer.participant not in told:
            told[buyer.participant] = True
            subject = {"product": product, "participant": buyer.participant}
            self.enter("recipient_notices", {"named": True}, **subject)

    def amend(self, merchant: Person, product: str, group: str, **changes: Any) -> None:
        """Declare one group of facts anew and have it confirmed."""
        revision = self.declare(merchant, product, group, **changes)
        body = {"revision": revision, "groups": [group], "evidence": {group: sha256_of(f"{group} anew")}}
        done(self.desk.post(f"/v1/products/{product}/confirmations", body))

    def revision_of(self, product: str, asked_by: Person | None = None) -> int:
        """The revision of the product's facts, as a reviewer sees it who looks now."""
        return int(done((asked_by or self.desk).get(f"/v1/products/{product}"), 200)["revision"])

    def declare(self, merchant: Person, product: str, group: str, **changes: Any) -> int:
        """Declare one group of facts anew, which nobody has confirmed yet; gives the product's new revision."""
        content = self.declaration(**{group: changes})[group]
        body = {"evidence_sha256": sha256_of(f"{group} anew"), group: content}
        return int(done(merchant.post(f"/v1/products/{product}/facts", body))["revision"])

    def record(self, product: str, entry: str, by: Person | None = None, **changes: Any) -> httpx.Response:
        body = {"entry": entry, "evidence_sha256": sha256_of(entry), "reason": f"测试 {entry}", **changes}
        return (by or self.desk).post(f"/v1/products/{product}/records", body)

    def enter(self, register: str, facts: dict[str, Any], **changes: Any) -> str:
        """An entry in one of the venue's registers; `changes` name its product and participant. Gives its id."""
        body = {
            "facts": facts,
            "evidence_sha256": sha256_of(register),
            "reason": f"测试 {register}",
            **changes,
        }
        entered = self.desk.post(f"/v1/registers/{register}/entries", body)
        return str(done(entered, 201)["entry"])

    # -- listings

    def terms(self, **changes: Any) -> dict[str, Any]:
        terms: dict[str, Any] = {
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
        return {**terms, **changes}

    def filled_in(self, board: str) -> dict[str, Any]:
        """What the examples of a board's fields say."""
        if board not in self._filled_in:
            fields = self.http.get(f"/v1/boards/{board}").json().get("fields", [])
            self._filled_in[board] = {field["name"]: field["example"] for field in fields}
        return dict(self._filled_in[board])

    def draft(self, merchant: Person, product: str = "", board: str = "general", **terms: Any) -> str:
        body = {
            "product": product or self.product(merchant),
            "board": board,
            "attributes": {**self.filled_in(board), **terms.pop("attributes", {})},
            "terms": self.terms(**terms),
        }
        listing = str(done(merchant.post("/v1/listings", body), 201)["listing"])
        self._offered[listing] = str(body["product"])
        return listing

    def move(self, listing: str, step: str, by: Person, *reasons: str) -> httpx.Response:
        body: dict[str, Any] = {"reasons": list(reasons)} if reasons else {}
        if step == "approve" and self.desk.get(f"/v1/listings/{listing}").json().get("origin") == "public":
            body["tariff_sha256"] = sha256_of("tariff")
        return by.post(f"/v1/listings/{listing}/{step}", body)

    def listing(
        self,
        merchant: Person,
        product: str = "",
        board: str = "general",
        *,
        signed: bool = True,
        **terms: Any,
    ) -> str:
        """Published (also through the public notice of its board), its contract signed by its merchant."""
        listing = self.draft(merchant, product, board, **terms)
        done(self.move(listing, "submit", merchant))
        if done(self.move(listing, "approve", self.desk))["state"] == "public_notice":
            self.advance(days=5, seconds=60)
        assert self.state_of(listing) == "published"
        if signed:
            done(self.offer_contract(merchant, listing), 201)
        return listing

    def state_of(self, listing: str, asked_by: Person | None = None) -> str:
        return str(done((asked_by or self.desk).get(f"/v1/listings/{listing}"), 200)["state"])

    def book_listing(self, merchant: Person, **terms: Any) -> str:
        """Transferable units where central trading is approved; the merchant starts with all of them."""
        defaults: dict[str, Any] = {
            "mechanism": "continuous_auction",
            "supply": "limited",
            "supply_units": 1_000,
            "price_fen": 1_000,
        }
        return self.listing(merchant, board="computing", **{**defaults, **terms})

    # -- orders and trades

    def order(
        self, buyer: Person, listing: str, quantity: int = 1, *, signed: bool = True, **changes: Any
    ) -> httpx.Response:
        """A buyer signs the contract first, where it has not yet."""
        body = {"listing": listing, "quantity": quantity, "purpose": "market_analysis", **changes}
        self.tell_persons_of(buyer, self._offered.get(listing, ""))
        return buyer.post("/v1/orders", body, signed=signed)

    def trade(self, buyer: Person, listing: str, quantity: int = 1, **changes: Any) -> str:
        """An order that must settle at once; gives the trade's id."""
        placed = done(self.order(buyer, listing, quantity, **changes), 201)
        assert [trade["state"] for trade in placed["trades"]] == ["settled"], placed
        return str(placed["trades"][0]["trade"])

    def held(self, buyer: Person, listing: str, *rules: str, **changes: Any) -> str:
        """An order whose trade must be held by exactly these rules; gives the trade's id."""
        placed = done(self.order(buyer, listing, **changes), 201)
        assert [trade["state"] for trade in placed["trades"]] == ["held"], placed
        trade = self.read_trade(placed["trades"][0]["trade"], buyer)
        assert trade["verdict"]["outcome"] == "hold", trade
        assert rules_named(trade["verdict"]["violated"]) == set(rules), trade
        return str(trade["trade"])

    def read_trade(self, trade: str, asked_by: Person) -> dict[str, Any]:
        body: dict[str, Any] = done(asked_by.get(f"/v1/trades/{trade}"), 200)
        return body

    def hand_over(self, merchant: Person, trade: str, content: bytes = b"month,teu\n2026-01,1200\n") -> str:
        """Upload a file and deliver it; gives its sha256."""
        digest = sha256_of(content)
        done(self.upload(merchant, content, digest), 201)
        body = {"kind": "file", "sha256": digest, "name": "teu.csv", "media_type": "text/csv"}
        done(merchant.post(f"/v1/trades/{trade}/delivery", body))
        return digest

    def upload(self, merchant: Person, content: bytes, digest: str) -> httpx.Response:
        return merchant.ask("PUT", "/v1/files", params={"sha256": digest, "name": "teu.csv"}, content=content)

    def accept(self, buyer: Person, trade: str) -> None:
        done(buyer.post(f"/v1/trades/{trade}/acceptance", {}))

    def complete(self, merchant: Person, buyer: Person, trade: str) -> None:
        self.hand_over(merchant, trade)
        self.accept(buyer, trade)

    # -- the whole way, to the first door that refuses

    def walk(
        self,
        merchant: Person,
        buyer: Person,
        *,
        board: str = "general",
        declared: dict[str, Any] | None = None,
        decided: dict[str, Any] | None = None,
        terms: dict[str, Any] | None = None,
        ordered: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Register, list, publish and order; gives the first refusal met, else the answer to the order."""
        answer = self.submit_product(merchant, **(declared or {}))
        if answer.is_error:
            return answer
        product = answer.json()["product"]
        answer = self.decide_product(product, **(decided or {}))
        if answer.is_error:
            return answer
        self.assess(product, **(declared or {}))
        body: dict[str, Any] = {
            "product": product,
            "board": board,
            "attributes": self.filled_in(board),
            "terms": self.terms(**(terms or {})),
        }
        answer = merchant.post("/v1/listings", body)
        if answer.is_error:
            return answer
        self._offered[answer.json()["listing"]] = product
        return self.publish_and_order(merchant, buyer, answer.json()["listing"], ordered or {})

    def publish_and_order(
        self, merchant: Person, buyer: Person, listing: str, ordered: dict[str, Any]
    ) -> httpx.Response:
        for step, person in (("submit", merchant), ("approve", self.desk)):
            answer = self.move(listing, step, person)
            if answer.is_error:
                return answer
        if answer.json()["state"] == "public_notice":
            self.advance(days=5, seconds=60)
        return self.order(buyer, listing, **ordered)


def settled(answer: httpx.Response) -> str:
    """The answer must be an order whose one trade settled; gives the trade's id."""
    placed = done(answer, 201)
    assert [trade["state"] for trade in placed["trades"]] == ["settled"], placed
    return str(placed["trades"][0]["trade"])
