"""The credit bureau as one pure whole (信用中心): the register, every participant's conduct, ratings and
standing.

    record(conduct)              O(1), on the path of every settled trade
    rating(id, as_of_ns)         score, grade and reasons as of any instant
    standing(id, at_ns)          may it browse, buy, list now; why not, in words

The bureau never decides by itself: the venue asks `refusal`, writes the outcome in an event, and applies it
with `step`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import accumulate
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET

from credit.conduct import GOOD, KINDS, Conduct, ConductKind
from credit.merchant import (
    IDENTITY,
    Code,
    Credential,
    Identity,
    Participant,
    Restriction,
    Step,
    left,
    may,
    step,
    verified_since_ns,
)
from credit.score import (
    DAY_NS,
    Contested,
    Evidence,
    Flow,
    Grade,
    Log,
    Rating,
    Relation,
    Subject,
    Tie,
    Weighed,
    evidence,
    flows_before,
    fold,
    rate,
    score_and_grade,
    weigh,
    weighed_grade,
)

IDENTITY_STEPS: Final = tuple(dict.fromkeys(taken for _, taken in IDENTITY))
"""Steps that change what a participant is verified as, and whose counterparty it is."""

FORMAT: Final = 1
"""Version of dump(); load() takes this one only."""

Hindering = Literal[
    "unknown",
    "closed",
    "suspended",
    "leaving",
    "banned",
    "identity_unverified",
    "identity_refused",
    "mandate_expired",
    "not_buyer",
    "not_merchant",
    "credential_none",
    "credential_applied",
    "credential_under_review",
    "credential_suspended",
    "credential_revoked",
    "credential_expired",
    "credential_other_class",
]


class Hindrance(msgspec.Struct, frozen=True):
    """One reason why something is not open to a participant, what it bars and what to do about it."""

    code: Hindering
    bars: tuple[Literal["browse", "buy", "list"], ...]
    zh: str
    en: str


class Standing(msgspec.Struct, frozen=True):
    """What a participant may do now. `reasons` explains every False; with three True it is empty."""

    may_browse: bool
    may_buy: bool
    may_list: bool
    reasons: tuple[Hindrance, ...]


HINDRANCES: Final[Mapping[Hindering, Hindrance]] = {
    row.code: row
    for row in (
        Hindrance(
            "unknown",
            ("browse", "buy", "list"),
            "查无此参与方，请先注册。",
            "No such participant: register first.",
        ),
        Hindrance("closed", ("browse", "buy", "list"), "账户已注销。", "The account is closed."),
        Hindrance(
            "suspended",
            ("buy", "list"),
            "账户已暂停，请联系运营方。",
            "The account is suspended: ask the operator.",
        ),
        Hindrance(
            "leaving",
            ("buy", "list"),
            "正在办理退出，不能开展新的交易。",
            "It is leaving: what it has here is wound up or passed on, and nothing new begins.",
        ),
        Hindrance(
            "banned",
            ("buy", "list"),
            "禁入期未满，期满自动恢复。",
            "Banned until a date; the ban ends by itself.",
        ),
        Hindrance(
            "identity_unverified",
            ("buy", "list"),
            "身份尚未核验，只能浏览；核验通过后方可交易。",
            "The identity is not verified: browsing only, until a reviewer has verified it.",
        ),
        Hindrance(
            "identity_refused",
            ("buy", "list"),
            "身份核验未通过，请按所列原因补正后重新提交。",
            "The identity was refused: mend what the reasons name and submit again.",
        ),
        Hindrance(
            "mandate_expired",
            ("buy", "list"),
            "经办人授权已到期，请提交新的授权。",
            "The agent's mandate has run out: submit a new one.",
        ),
        Hindrance("not_buyer", ("buy",), "未登记为买方。", "Not registered as a buyer."),
        Hindrance("not_merchant", ("list",), "未登记为数据商。", "Not registered as a merchant."),
        Hindrance(
            "credential_none",
            ("list",),
            "未取得数据商资格，请先申请认定。",
            "Not accredited as a data merchant: apply for accreditation first.",
        ),
        Hindrance(
            "credential_applied",
            ("list",),
            "数据商资格正在审核。",
            "The application for accreditation is under review.",
        ),
        Hindrance(
            "credential_under_review",
            ("list",),
            "数据商资格正在审核；如要求补充材料，请提交。",
            "The application for accreditation is under review: hand in the documents that were asked for.",
        ),
        Hindrance(
            "credential_suspended",
            ("list",),
            "数据商资格已暂停。",
            "The accreditation is suspended.",
        ),
        Hindrance(
            "credential_revoked",
            ("list",),
            "数据商资格已撤销，可重新申请。",
            "The accreditation is revoked: it can be applied for again.",
        ),
        Hindrance(
            "credential_expired",
            ("list",),
            "数据商资格已到期，请续期。",
            "The accreditation has expired: renew it.",
        ),
        Hindrance(
            "credential_other_class",
            ("list",),
            "资格不含数据商类别，请申请该类别。",
            "The accreditation is not for data merchants: apply for that class.",
        ),
    )
}

_IDENTITY_HINDRANCE: Final[Mapping[Identity, Hindering | None]] = {
    "unverified": "identity_unverified",
    "verified": None,
    "refused": "identity_refused",
}
_CREDENTIAL_HINDRANCE: Final[Mapping[Credential, Hindering | None]] = {
    "none": "credential_none",
    "applied": "credential_applied",
    "under_review": "credential_under_review",
    "accredited": None,
    "restricted": None,
    "suspended": "credential_suspended",
    "revoked": "credential_revoked",
    "expired": "credential_expired",
}


NEVER_NS: Final = 1 << 62


class Remedy(msgspec.Struct, kw_only=True):
    """What was done about one fault. Instants are 0 where it was not done.

    Contested from `contested_ns` until `decided_ns`; `upheld`, it is as if it had never been. Repaired, it weighs nothing
    from `repaired_ns` on and stays in the log.
    """

    kind: ConductKind
    reference: str
    at_ns: int
    contested_ns: int = 0
    decided_ns: int = 0
    upheld: bool = False
    repaired_ns: int = 0

    def waits(self, as_of_ns: int) -> bool:
        """Whether its objection was not decided as of an instant."""
        contested = bool(self.contested_ns) and not self.upheld
        return contested and self.contested_ns <= as_of_ns < (self.decided_ns or NEVER_NS)

    def leaves_out(self, as_of_ns: int, rewarding: bool) -> bool:
        """The view that restricts leaves a contested fault out, the view that rewards keeps it. A severe one is left to the
        model, which holds the grade at C meanwhile."""
        if self.upheld or 0 < self.repaired_ns <= as_of_ns:
            return True
        return not rewarding and not self.is_severe and self.waits(as_of_ns)

    @property
    def is_severe(self) -> bool:
        return KINDS[self.kind].severity == "severe"


def fault_key(fault: Conduct | Remedy) -> str:
    """By what a fault of a participant is known."""
    return f"{fault.kind}:{fault.reference}:{fault.at_ns}"


MOST_KEPT: Final = 2_000
"""Participants of whom good conduct is kept added up; about 10 kB each."""


class _Kept(msgspec.Struct):
    """What was worked out for a participant: as of which instant on, with which identities."""

    since_ns: int
    identities: int
    evidence: Evidence
    grade: Grade | None = None
    weighed: Weighed | None = None
    """Its faults, where nothing was done about any; each is at `upto_ns` or before."""
    upto_ns: int = 0


SETTLED_DAYS: Final = 16
"""A better grade is looked for on each day of two weeks: what a counterparty had settled is kept for as many days."""


class _Settled(msgspec.Struct):
    """What a participant had settled with others before the first day, the next, and so on: (bought, sold) in fen."""

    first_day: int
    identities: int
    sums: list[tuple[int, int]]


class Bureau:
    """Register and conduct together. Every dict keeps the order of arrival, so a dump of it is stable.

    Anybody may ask for a grade, so what is dear in it is kept, though in no dump: good conduct before a day is added
    up once a day for each participant that is asked about (`_flows`), and so is what its counterparties have settled
    with others (`_settled`); what follows from both (`_kept`) holds until midnight or a change of any identity
    (`_identities` counts them), the grade until the next fault.
    """

    __slots__ = (
        "_flows", "_identities", "_kept", "_kept_day", "_kin", "_settled",
        "by_key", "by_uscc", "conduct", "participants", "remedies", "rings",
    )  # fmt: skip

    def __init__(self) -> None:
        self.participants: dict[str, Participant] = {}
        self.by_key: dict[str, str] = {}
        self.by_uscc: dict[str, str] = {}
        self.conduct: dict[str, Log] = {}
        self.rings: dict[str, tuple[str, ...]] = {}
        self.remedies: dict[str, dict[str, Remedy]] = {}
        self._flows: dict[str, tuple[int, dict[str, Flow]]] = {}
        self._kept: dict[str, _Kept] = {}
        self._settled: dict[str, _Settled] = {}
        self._kin: dict[str, dict[str, None]] = {}
        self._identities = 0
        self._kept_day = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bureau):
            return NotImplemented
        return (self.participants, self.conduct, self.rings, self.remedies) == (
            other.participants,
            other.conduct,
            other.rings,
            other.remedies,
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    # --- the register ---

    def admission_refusal(self, participant: Participant) -> Code | None:
        """Why a new row cannot enter the register, or None. A key names one participant, a credit code one
        verified one."""
        if participant.id in self.participants:
            return "duplicate_id"
        if participant.public_key and participant.public_key in self.by_key:
            return "duplicate_key"
        return self._code_refusal(participant, participant.uscc)

    def admit(self, participant: Participant) -> None:
        """Enter a row that admission_refusal() let pass."""
        assert self.admission_refusal(participant) is None, participant.id
        self._enter(participant)

    def _enter(self, participant: Participant) -> None:
        self.participants[participant.id] = participant
        self._index(participant)

    def refusal(
        self,
        participant_id: str,
        taken: Step,
        decider_id: str,
        at_ns: int,
        changes: Mapping[str, str] | None = None,
        classes: tuple[str, ...] = ("merchant",),
    ) -> Code | None:
        """Why a step cannot be taken now, or None. `classes` as in merchant.may."""
        participant = self.participants.get(participant_id)
        if participant is None:
            return "unknown_participant"
        decider = self.participants.get(decider_id)
        code = may(participant, taken, decider, at_ns, classes)
        if code is None and taken in ("verify", "resubmit"):
            return self._code_refusal(participant, (changes or {}).get("uscc", participant.uscc))
        return code

    def step(
        self,
        participant_id: str,
        taken: Step,
        at_ns: int,
        decider_id: str = "",
        *,
        until_ns: int = 0,
        number: str = "",
        reasons: tuple[str, ...] = (),
        changes: Mapping[str, str] | None = None,
        scope: Restriction | None = None,
    ) -> None:
        """Take a step that refusal() let pass, and keep the indexes true. Parameters as in merchant.step."""
        participant = self.participants[participant_id]
        self._unindex(participant)
        step(
            participant,
            taken,
            at_ns,
            decider_id,
            until_ns=until_ns,
            number=number,
            reasons=reasons,
            changes=changes,
            scope=scope,
        )
        self._index(participant)
        if taken in IDENTITY_STEPS:
            self._identities += 1

    def replace_key(self, participant_id: str, public_key: str) -> None:
        """Another key that nobody has; the one before signs nothing from now on."""
        participant = self.participants[participant_id]
        assert public_key not in self.by_key, participant_id
        self._unindex(participant)
        participant.public_key = public_key
        participant.key_number += 1
        self._index(participant)

    def _code_refusal(self, participant: Participant, uscc: str) -> Code | None:
        taken = self.by_uscc.get(uscc, participant.id) != participant.id
        return "duplicate_uscc" if taken else None

    def _index(self, participant: Participant) -> None:
        """A credit code leads to whoever was verified with it, as long as it is verified and its account open."""
        for key in _controllers(participant):
            self._kin.setdefault(key, {})[participant.id] = None
        if participant.public_key:
            self.by_key[participant.public_key] = participant.id
        if participant.uscc and participant.identity == "verified" and participant.status != "closed":
            assert self.by_uscc.get(participant.uscc, participant.id) == participant.id, participant.uscc
            self.by_uscc[participant.uscc] = participant.id

    def _unindex(self, participant: Participant) -> None:
        for key in _controllers(participant):
            del self._kin[key][participant.id]
        self.by_key.pop(participant.public_key, None)
        if self.by_uscc.get(participant.uscc) == participant.id:
            del self.by_uscc[participant.uscc]

    # --- conduct and credit ---

    def record(self, conduct: Conduct) -> None:
        """Keep one fact. Constant time."""
        log = self.conduct.get(conduct.participant)
        if log is None:
            log = self.conduct[conduct.participant] = Log()
        known = len(log.faults)
        fold(log, conduct)
        if self._kept_day:
            self._forget(conduct, len(log.faults) > known)

    def _forget(self, conduct: Conduct, is_new: bool) -> None:
        """Drop what is kept and no longer true. Good conduct counts only once its day has ended, and then for
        counterparties' ratings too; so good conduct of a day that was asked about as ended takes everything. A fault that
        is the last is weighed beside those known."""
        if conduct.kind not in GOOD:
            kept = self._kept.get(conduct.participant)
            if kept is not None:
                kept.grade = None
                _weigh_one_more(kept, conduct, is_new)
        elif conduct.at_ns // DAY_NS < self._kept_day:
            self._forget_all()

    def _forget_all(self) -> None:
        self._flows.clear()
        self._kept.clear()
        self._settled.clear()
        self._kept_day = 0

    def mark_ring(self, ring: str, members: tuple[str, ...]) -> None:
        """A ring found forged: what its members traded with each other is worth nothing, at any instant. With no
        members it is taken back."""
        self.rings.pop(ring, None)
        if members:
            self.rings[ring] = members
        self._identities += 1

    def first_ns(self, participant_id: str) -> int:
        """When its first conduct was, to the day for good conduct; beyond any date where there is none. O(days)."""
        log = self.conduct.get(participant_id, _NO_LOG)
        days = (day * DAY_NS for _, _, day in log.good)
        return min(*days, *(fault.at_ns for fault in log.faults.values()), 1 << 62, 1 << 62)

    def faults_of(self, participant_id: str) -> list[Conduct]:
        """Every fault on record, the oldest first; those of a case that has no effect yet too."""
        faults = self.conduct.get(participant_id, _NO_LOG).faults
        return sorted(faults.values(), key=lambda fault: fault.at_ns)

    def standing_faults(self, participant_id: str) -> list[Conduct]:
        """Those of them that were not found to be none: an objection upheld equals absence."""
        remedies = self.remedies.get(participant_id, {})
        upheld = [key for key, row in remedies.items() if row.upheld]
        return [fault for fault in self.faults_of(participant_id) if fault_key(fault) not in upheld]

    def inherits(self, participant_id: str, predecessor_id: str) -> bool:
        """Whether anything is held against the predecessor that is not held against the participant yet."""
        faults, theirs = (self.conduct.get(one, _NO_LOG).faults for one in (participant_id, predecessor_id))
        known = {fault_key(fault) for fault in faults.values()}
        return any(fault_key(fault) not in known for fault in theirs.values())

    def inherit(self, participant_id: str, predecessor_id: str) -> None:
        """Hold against a participant what is held against another, with what was done about it. Good conduct stays where it
        was: it cannot be handed on, for then it could be bought."""
        for fault in self.faults_of(predecessor_id):
            self.record(msgspec.structs.replace(fault, participant=participant_id))
        rows = self.remedies.get(predecessor_id, {})
        for key in [one for one in rows if one not in self.remedies.get(participant_id, {})]:
            self.set_remedy(participant_id, msgspec.structs.replace(rows[key]))

    def before(self, participant_id: str) -> list[str]:
        """Closed accounts of the same legal person, the oldest first. O(participants)."""
        uscc = self.participants[participant_id].uscc
        if not uscc:
            return []
        rows = self.participants.values()
        return [row.id for row in rows if row.uscc == uscc and row.status == "closed"]

    def remedy_of(self, participant_id: str, fault: Conduct) -> Remedy | None:
        """What was done about a fault."""
        return self.remedies.get(participant_id, {}).get(fault_key(fault))

    def set_remedy(self, participant_id: str, remedy: Remedy) -> None:
        """Something was done about a fault; a grade that was kept is worked out anew."""
        self.remedies.setdefault(participant_id, {})[fault_key(remedy)] = remedy
        if participant_id in self._kept:
            self._kept[participant_id].grade = self._kept[participant_id].weighed = None

    def is_forged(self, one: str, other: str) -> bool:
        """Whether these are in one ring that was found forged."""
        return any(one in members and other in members for members in self.rings.values())

    def rating(
        self,
        participant_id: str,
        as_of_ns: int,
        contested: Contested = (),
        *,
        rewarding: bool = False,
        without: Conduct | None = None,
    ) -> Rating:
        """Score, grade and reasons as of an instant, without the faults that are `contested` as (kind, reference), and as
        if one fault (`without`) had never been.
        Cost as score.rate, plus 3 us a counterparty, and the first time on a day as score.flows_before. In the view
        that restricts, or in the one that is `rewarding` (`Remedy`).

        Identities are those of the instant. Owners and groups are those known today, at every instant:
        dealing with oneself earned nothing even before it was found out.
        """
        subject, log = self._subject(participant_id, as_of_ns)
        log, waits = self._remedied(participant_id, log, as_of_ns, rewarding)
        if without is not None:
            log = Log(log.good, {key: fault for key, fault in log.faults.items() if fault != without})
        found = self._evidence(participant_id, as_of_ns).evidence
        return rate(log, subject, found, as_of_ns, (*contested, *waits))

    def grade(
        self, participant_id: str, as_of_ns: int, contested: Contested = (), *, rewarding: bool = False
    ) -> Grade:
        """The grade alone; where it is not kept, a tenth of the time of the rating."""
        kept, plain = self._evidence(participant_id, as_of_ns), not contested and not rewarding
        if kept.grade is not None and kept.since_ns <= as_of_ns and plain:
            return kept.grade
        subject, log = self._subject(participant_id, as_of_ns)
        if plain and participant_id not in self.remedies and _weigh_all(kept, log, as_of_ns):
            assert kept.weighed is not None
            kept.since_ns = as_of_ns
            kept.grade = weighed_grade(kept.weighed, subject, kept.evidence)[1]
            return kept.grade
        left, waits = self._remedied(participant_id, log, as_of_ns, rewarding)
        grade = score_and_grade(left, subject, kept.evidence, as_of_ns, (*contested, *waits))[1]
        if plain and self._stands(participant_id, log, as_of_ns):
            kept.since_ns, kept.grade = as_of_ns, grade
        return grade

    def _stands(self, participant_id: str, log: Log, as_of_ns: int) -> bool:
        """Whether nothing on record begins to count later than this."""
        remedies = self.remedies.get(participant_id, {}).values()
        return all(fault.at_ns <= as_of_ns for fault in log.faults.values()) and all(
            max(row.contested_ns, row.decided_ns, row.repaired_ns) <= as_of_ns for row in remedies
        )

    def _remedied(
        self, participant_id: str, log: Log, as_of_ns: int, rewarding: bool
    ) -> tuple[Log, tuple[tuple[ConductKind, str], ...]]:
        """The log without the faults that do not count, and the severe ones whose objection waits."""
        remedies = self.remedies.get(participant_id)
        if remedies is None:
            return log, ()
        out = {key for key, row in remedies.items() if row.leaves_out(as_of_ns, rewarding)}
        faults = {key: fault for key, fault in log.faults.items() if fault_key(fault) not in out}
        waits = [
            (row.kind, row.reference) for row in remedies.values() if row.is_severe and row.waits(as_of_ns)
        ]
        return Log(log.good, faults), () if rewarding else tuple(waits)

    def _subject(self, participant_id: str, as_of_ns: int) -> tuple[Subject, Log]:
        participant = self.participants[participant_id]
        subject = Subject(participant_id, verified_since_ns(participant, as_of_ns) is not None)
        return subject, self.conduct.get(participant_id, _NO_LOG)

    def _evidence(self, participant_id: str, as_of_ns: int) -> _Kept:
        """That of the day that was asked about last is kept."""
        kept, day = self._kept.get(participant_id), as_of_ns // DAY_NS
        if (
            kept is not None
            and kept.identities == self._identities
            and kept.since_ns <= as_of_ns
            and kept.since_ns // DAY_NS == day
        ):
            return kept
        flows = self._flows_before(participant_id, day)
        kin = self._kin_of(participant_id)
        sisters = {name: None for name in kin if name != participant_id and name in self.conduct}
        ties = {}
        for name, flow in flows.items():
            relation = self._relation(participant_id, name, kin, as_of_ns)
            known = relation == "verified"
            ties[name] = self._tie(participant_id, name, flow, sisters, day) if known else Tie(relation)
        kept = _Kept(as_of_ns, self._identities, evidence(flows, ties, day))
        _keep(self._kept, participant_id, kept)
        return kept

    def _flows_before(self, participant_id: str, day: int) -> dict[str, Flow]:
        """Those of the day that was asked about last are kept."""
        kept = self._flows.get(participant_id)
        if kept is not None and kept[0] == day:
            return kept[1]
        flows = flows_before(self.conduct.get(participant_id, _NO_LOG), day)
        _keep(self._flows, participant_id, (day, flows))
        self._kept_day = max(self._kept_day, day)
        return flows

    def _tie(
        self, participant_id: str, counterparty: str, flow: Flow, sisters: Mapping[str, None], day: int
    ) -> Tie:
        """What a verified counterparty has settled with others: neither with this one nor with its sisters."""
        bought_fen, sold_fen = self._settled_before(counterparty, day)
        bought_fen, sold_fen = bought_fen - flow.sold_history_fen, sold_fen - flow.bought_history_fen
        if sisters:
            with_kin = self._settled_with(counterparty, day, sisters)
            bought_fen, sold_fen = bought_fen - with_kin[0], sold_fen - with_kin[1]
        return Tie("verified", max(0, bought_fen), max(0, sold_fen))

    def _relation(
        self, participant_id: str, counterparty: str, kin: Mapping[str, None], as_of_ns: int
    ) -> Relation:
        other = self.participants.get(counterparty)
        if other is None:
            return "unverified"
        if counterparty in kin:
            return "same_controller"
        if self.is_forged(participant_id, counterparty):
            return "ring"
        return "unverified" if verified_since_ns(other, as_of_ns) is None else "verified"

    def _settled_before(self, participant_id: str, day: int) -> tuple[int, int]:
        """(bought, sold) in fen, of all days before, with others than itself. Added up once, for two weeks."""
        kept = self._settled.get(participant_id)
        if kept is not None and kept.identities == self._identities:
            place = day - kept.first_day
            if 0 <= place < len(kept.sums):
                return kept.sums[place]
        self._kept_day = max(self._kept_day, day)
        first_day, last_day = day - SETTLED_DAYS, min(day + SETTLED_DAYS, self._kept_day)
        sums = self._settled_by_day(participant_id, first_day, last_day)
        self._settled[participant_id] = _Settled(first_day, self._identities, sums)
        return sums[day - first_day]

    def _settled_by_day(self, participant_id: str, first_day: int, last_day: int) -> list[tuple[int, int]]:
        """Those before each day from the first to the last. One walk over the log."""
        without, days = self._near(participant_id), last_day + 1 - first_day
        bought, sold = [0] * days, [0] * days
        for (counterparty, kind, at_day), row in self.conduct.get(participant_id, _NO_LOG).good.items():
            if at_day < last_day and counterparty not in without:
                place = at_day + 1 - first_day if at_day >= first_day else 0
                if kind == "completed_purchase":
                    bought[place] += row[3]
                else:
                    sold[place] += row[3]
        return list(zip(accumulate(bought), accumulate(sold), strict=True))

    def _settled_with(self, participant_id: str, day: int, others: Mapping[str, None]) -> tuple[int, int]:
        """(bought, sold) in fen before a day with some others."""
        without = self._near(participant_id)
        bought_fen = sold_fen = 0
        for (counterparty, kind, at_day), row in self.conduct.get(participant_id, _NO_LOG).good.items():
            if at_day < day and counterparty in others and counterparty not in without:
                if kind == "completed_purchase":
                    bought_fen += row[3]
                else:
                    sold_fen += row[3]
        return bought_fen, sold_fen

    def _near(self, participant_id: str) -> dict[str, None]:
        """Whose orders with a participant are no history of it: its kin, and others of a ring found forged."""
        near = dict(self._kin_of(participant_id))
        for members in self.rings.values():
            if participant_id in members:
                near |= dict.fromkeys(members)
        return near

    def _kin_of(self, participant_id: str) -> dict[str, None]:
        """Everybody under the same controller, however many owners lie between, and itself."""
        participant = self.participants.get(participant_id)
        if participant is None:
            return {participant_id: None}
        above = [self._top_of(participant)]
        house: dict[str, None] = dict.fromkeys(above)
        while above:
            owned = self._kin.get(f"owner {above.pop()}", {})
            above += [one for one in owned if one not in house]
            house |= owned
        return house | (self._kin[f"group {participant.group_id}"] if participant.group_id else {})

    def _top_of(self, participant: Participant) -> str:
        """Who stands above all its owners: the last one that is named, or one of those who own each other."""
        chain = [participant.id]
        while participant.owner_id and participant.owner_id not in chain:
            chain.append(participant.owner_id)
            if participant.owner_id not in self.participants:
                return participant.owner_id
            participant = self.participants[participant.owner_id]
        return chain[-1]

    # --- standing ---

    def standing(self, participant_id: str, at_ns: int) -> Standing:
        """What a participant may do now and why not. About 1 us: answers with the same reasons are one
        object.

        The unverified may browse only, the unaccredited cannot list (本所规则; 海南12: 登记、审核、认定).
        """
        participant = self.participants.get(participant_id)
        if participant is None:
            return _standing(("unknown",))
        return _standing(tuple(_hindrances(participant, at_ns)))

    def may_buy(self, participant_id: str, at_ns: int) -> bool:
        """Whether `standing` lets it buy, at a fifth of the time: asked for every order."""
        row = self.participants.get(participant_id)
        return (
            row is not None
            and row.status == "active"
            and row.leaving is UNSET
            and row.identity == "verified"
            and row.ban_until_ns <= at_ns < row.mandate_until_ns
            and "buyer" in row.roles
        )

    # --- snapshots ---

    def dump(self) -> dict[str, Any]:
        """Everything as plain lists, dicts, strings and integers, in the order of arrival. load() gives it
        back."""
        return {
            "format": FORMAT,
            "participants": [msgspec.to_builtins(row) for row in self.participants.values()],
            "conduct": [_dump_log(name, log) for name, log in self.conduct.items()],
            **self._dump_remedies(),
            **({"rings": [[ring, *members] for ring, members in self.rings.items()]} if self.rings else {}),
        }

    def _dump_remedies(self) -> dict[str, Any]:
        rows = [[name, list(found.values())] for name, found in self.remedies.items()]
        return {"remedies": msgspec.to_builtins(rows)} if rows else {}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> "Bureau":
        """The bureau that gave this dump. Raises msgspec.ValidationError when a row is not of its shape."""
        if data["format"] != FORMAT:
            raise msgspec.ValidationError(f"credit dump of format {data['format']}, this code reads {FORMAT}")
        bureau = cls()
        for row in data["participants"]:
            bureau._enter(msgspec.convert(row, Participant))
        for name, good, faults in data["conduct"]:
            bureau.conduct[name] = _load_log(good, faults)
        for ring, *members in msgspec.convert(data.get("rings", []), list[list[str]]):
            bureau.rings[ring] = tuple(members)
        for name, rows in msgspec.convert(data.get("remedies", []), list[tuple[str, list[Remedy]]]):
            bureau.remedies[name] = {fault_key(row): row for row in rows}
        return bureau


_NO_LOG: Final = Log()
_Row = TypeVar("_Row")


def _weigh_all(kept: _Kept, log: Log, as_of_ns: int) -> bool:
    """Whether all faults are weighed; not where one comes after the instant."""
    if kept.weighed is None:
        kept.upto_ns = max([fault.at_ns for fault in log.faults.values()], default=0)
        if kept.upto_ns <= as_of_ns:
            kept.weighed = weigh(log, kept.evidence, as_of_ns)
    return kept.upto_ns <= as_of_ns


def _weigh_one_more(kept: _Kept, conduct: Conduct, is_new: bool) -> None:
    """Beside the others where it is the last of them, of the same day; what mends another makes all be weighed anew."""
    if kept.weighed is None:
        return
    is_last = kept.upto_ns <= conduct.at_ns and conduct.at_ns // DAY_NS == kept.since_ns // DAY_NS
    if is_new and is_last and KINDS[conduct.kind].effect != "correction":
        kept.weighed.add(kept.evidence, conduct)
        kept.upto_ns = conduct.at_ns
    else:
        kept.weighed = None


def _keep(rows: dict[str, _Row], name: str, row: _Row) -> None:
    """Under its name, in place of the oldest where there are too many."""
    if name not in rows and len(rows) >= MOST_KEPT:
        del rows[next(iter(rows))]
    rows[name] = row


def _controllers(participant: Participant) -> tuple[str, ...]:
    """Keys of the index of those under the same controller."""
    owner = f"owner {participant.owner_id or participant.id}"
    return (owner, f"group {participant.group_id}") if participant.group_id else (owner,)


def _hindrances(participant: Participant, at_ns: int) -> Iterator[Hindering]:
    """Every hindrance, from the account down to the credential."""
    if participant.status == "closed":
        yield "closed"
        return
    if participant.status == "suspended":
        yield "suspended"
    if participant.leaving is not UNSET:
        yield "leaving"
    if at_ns < participant.ban_until_ns:
        yield "banned"
    identity = _IDENTITY_HINDRANCE[participant.identity]
    if identity is not None:
        yield identity
    elif participant.mandate_until_ns <= at_ns:
        yield "mandate_expired"
    if "buyer" not in participant.roles:
        yield "not_buyer"
    yield from _listing_hindrances(participant, at_ns)


def _listing_hindrances(participant: Participant, at_ns: int) -> Iterator[Hindering]:
    credential = _CREDENTIAL_HINDRANCE[participant.credential]
    if "merchant" not in participant.roles:
        yield "not_merchant"
    elif credential is not None:
        yield credential
    elif participant.credential_until_ns <= at_ns:
        yield "credential_expired"
    elif "merchant" not in left(participant).classes:
        yield "credential_other_class"


@cache
def _standing(codes: tuple[Hindering, ...]) -> Standing:
    """One object for each combination of hindrances; there are a few hundred at most."""
    reasons = tuple(HINDRANCES[code] for code in codes)
    barred = [bar for reason in reasons for bar in reason.bars]
    return Standing("browse" not in barred, "buy" not in barred, "list" not in barred, reasons)


def _dump_log(name: str, log: Log) -> list[Any]:
    """What is history whole does not say so again, and a fault is none."""
    good = [[*key, *(row[:3] if row[3] == row[2] else row)] for key, row in log.good.items()]
    return [name, good, [msgspec.to_builtins(fault)[:-1] for fault in log.faults.values()]]


class _Bucket(msgspec.Struct, array_like=True):
    """The dumped shape of one good bucket."""

    counterparty: str
    kind: ConductKind
    day: int
    orders: int
    weight_micro: int
    amount_fen: int
    history_fen: int | msgspec.UnsetType = UNSET


def _load_log(good: list[Any], faults: list[Any]) -> Log:
    log = Log()
    for row in msgspec.convert(good, list[_Bucket]):
        settled_fen = row.amount_fen if row.history_fen is UNSET else row.history_fen
        bucket = [row.orders, row.weight_micro, row.amount_fen, settled_fen]
        log.good[row.counterparty, row.kind, row.day] = bucket
    for conduct in msgspec.convert(faults, list[Conduct]):
        fold(log, conduct)
    return log
