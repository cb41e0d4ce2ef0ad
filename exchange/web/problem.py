"""Errors as `application/problem+json` (RFC 9457), made in this one place.

A refusal is a value everywhere inside; here it becomes an answer. `code` is stable and is what programs look at,
`detail` says what to do, `violated` names every rule that was broken with its articles in Chinese and English.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from clearing.notrade import Cure, Rulebook, Text, place_of
from exchange.events import Refusal, Refused

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 1

TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "malformed": ("请求格式有误", "The request is malformed"),
    "not_signed_in": ("未登录或令牌失效", "Not signed in, or the token has ended"),
    "signature_wrong": ("签名不符", "The signature does not fit"),
    "forbidden": ("无权限", "The role or scope for this is missing"),
    "own_case": ("不得决定自己的事项", "Nobody decides their own case"),
    "not_found": ("未找到", "Not found"),
    "method_not_allowed": ("不支持该方法", "The method is not offered here"),
    "id_conflict": ("同一编号对应不同内容", "The same id came with another body"),
    "id_expired": ("编号过旧", "The id is older than what is remembered"),
    "already_exists": ("已存在", "It exists already"),
    "wrong_state": ("当前状态不允许", "The present state does not allow it"),
    "out_of_bounds": ("超出范围", "A value is out of bounds"),
    "evidence_missing": ("缺少证据", "Evidence is missing"),
    "identity_invalid": ("身份信息有误", "The identity is not valid"),
    "outside_terms": ("超出许可条款", "Outside the listing's terms"),
    "mechanism_not_allowed": ("该板块不允许此交易方式", "The board may not use this mechanism"),
    "not_verified": ("身份未核验", "The identity is not verified"),
    "not_accredited": ("未取得数据商资格", "Not accredited as a data merchant"),
    "standing_denied": ("暂不得交易", "May not trade now"),
    "in_debt": ("有未清偿债务", "A debt is open"),
    "halted": ("已停牌", "Trading is halted"),
    "session": ("本时段不受理", "Not taken in this phase of the session"),
    "too_late": ("为时已晚", "Too late for this"),
    "tick": ("价格不合最小变动价位", "The price is no multiple of the tick"),
    "lot": ("数量不合交易单位", "The quantity is no multiple of the lot"),
    "collar": ("超出价格限制", "The price is outside the collar"),
    "would_cross": ("将立即成交", "It would trade at once"),
    "listing_closed": ("挂牌未开放", "The listing is not open"),
    "board_rule": ("违反板块规则", "A rule of the board forbids it"),
    "unlawful": ("违反禁止交易规则", "A no-trade rule forbids it"),
    "supply_exhausted": ("供应已售完", "The supply is used up"),
    "funds_insufficient": ("资金不足", "Not enough money"),
    "units_insufficient": ("份额不足", "Not enough units"),
    "nothing_to_match": ("无可成交对象", "Nothing to match"),
    "quarantined": ("该指令已被隔离", "The command was put in quarantine"),
    "overloaded": ("系统繁忙", "The venue is busy"),
    "storage_unavailable": ("存储不可用", "The storage is not available"),
    "too_large": ("请求过大", "The request is too large"),
    "file_mismatch": ("文件与哈希不符", "The file does not fit its hash"),
    "commitment_wrong": ("与密封承诺不符", "It is not what was committed to"),
    "clock_is_real": ("真实时钟不可调整", "A real clock cannot be moved"),
    "rate_limited": ("请求过于频繁", "Too many in a minute"),
    "internal_error": ("内部错误", "An error of the venue"),
}
"""Code: (Chinese, English). Each code has a page at /problems/<code>."""

_OTHER_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 503: "overloaded"}
"""HTTP status of a framework error: its code. Other 4xx are `malformed`."""

_PATH = re.compile(r"(?P<message>.*) - at `(?P<path>\$.*)`", re.DOTALL)
_INDEX = re.compile(r"^\$\[(\d+)\]")


class Cited(Struct, frozen=True):
    """One article. `binding` is false where the venue's own rule is only modelled on it."""

    zh: str
    en: str
    authority: str
    binding: bool


class Source(Struct, frozen=True):
    """One article that a rule cites. `binding`: it binds those whom it addresses (`whom`), here and now."""

    zh: str
    en: str
    authority: str
    binding: bool
    whom: str
    source: str = ""
    article: str = ""
    where: str = "CN"
    since: str = msgspec.field(name="from", default="")
    until: str | None = None
    confidence: str = ""


class Violation(Struct, frozen=True):
    """A broken rule, in words, with the articles it stands on.

    `ground_zh` and `ground_en` say on what it stands here and now: on articles that bind, or as 本所规则, a venue rule that
    is modelled on others.
    """

    rule: str
    message_zh: str
    message_en: str
    citations: tuple[Cited, ...]
    ground_zh: str = ""
    ground_en: str = ""


class Unknown(Struct, frozen=True):
    """A rule that could not be decided, and the facts that nobody has confirmed."""

    rule: str
    fields: tuple[str, ...]


class FieldError(Struct, frozen=True):
    """What is wrong, and where: `$.terms.price_fen`."""

    path: str
    message: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `index` is the element of a batch, counted from 0; `retry_after_s` when there is room again."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    title_zh: str = ""
    instance: str = ""
    index: int | None = None
    errors: tuple[FieldError, ...] = ()
    violated: tuple[Violation, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    retry_after_s: int | None = None


class Refusing(Exception):
    """A refusal on its way to the answer: raised in handlers only, caught by the door."""

    def __init__(
        self,
        code: Refused,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        index: int | None = None,
        refusal: Refusal | None = None,
        at_ns: int = 0,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.refusal = refusal or Refusal(code, detail)
        self.errors = errors
        self.index = index
        self.at_ns = at_ns
        self.retry_after_s = retry_after_s


def refusing(refusal: Refusal, at_ns: int) -> Refusing:
    """The exception that carries an engine's refusal, judged at that instant."""
    return Refusing(refusal.code, refusal.detail, refusal=refusal, at_ns=at_ns)


class Reasons:
    """Puts broken rules into words: the articles that bind at this venue, at that instant."""

    def __init__(self, in_force: Callable[[], Rulebook], jurisdiction: str) -> None:
        self._in_force = in_force
        self.jurisdiction = jurisdiction
        self.told: dict[str, int] = {}
        """Code: how often it was answered since this process started, the repeated ones too."""

    @property
    def rulebook(self) -> Rulebook:
        """The one in force now: a draft may come into force, a rule be narrowed."""
        return self._in_force()

    def violations(
        self, rules: Iterable[str], at_ns: int, capacities: Sequence[str]
    ) -> tuple[Violation, ...]:
        """In the order given; a rule that this rulebook no longer has keeps its id and no words.

        `capacities` are those in which the parties acted, as the event or row tells them (`notrade.capacities`).
        """
        return tuple(self._violation(rule, at_ns, capacities) for rule in rules)

    def cures(self, rules: Iterable[str]) -> Iterator[tuple[str, Cure, Text]]:
        """Of these rules the holds: who brings and who confirms their cure, and what it is."""
        for rule_id in rules:
            rule = self.rulebook.rules.get(rule_id)
            if rule is not None and rule.cured_by is not None:
                yield rule_id, rule.cured_by, rule.evidence

    def _violation(self, rule_id: str, at_ns: int, capacities: Sequence[str]) -> Violation:
        rule = self.rulebook.rules.get(rule_id)
        if rule is None:
            gone = ("该规则已不在现行规则集中", "no longer in the rulebook in force")
            return Violation(rule_id, *gone, (), *gone)
        grounds = self.rulebook.citations(rule_id, self.jurisdiction, at_ns, capacities)
        cited = tuple(
            Cited(one.zh, one.en, one.authority, bool(grounds.binding))
            for one in grounds.binding or grounds.modelled_on
        )
        return Violation(rule_id, rule.message.zh, rule.message.en, cited, grounds.zh, grounds.en)

    def sources(self, rule_id: str, at_ns: int) -> tuple[Source, ...]:
        """All that a rule stands on, each with whom it addresses and whether it binds them here and now."""
        place = place_of(self.jurisdiction)
        return tuple(
            Source(
                one.zh,
                one.en,
                one.authority,
                one.binds(place, at_ns, (one.whom,)),
                one.whom,
                one.title_zh,
                one.article,
                one.where,
                one.effective_from.isoformat(),
                None if one.effective_until is None else one.effective_until.isoformat(),
                one.confidence,
            )
            for one in self.rulebook.rules[rule_id].citations
        )

    def problem(self, refusing: Refusing) -> Problem:
        refusal = refusing.refusal
        self.told[refusal.code.name] = self.told.get(refusal.code.name, 0) + 1
        return problem(
            refusal.code.name,
            refusal.code.status,
            refusal.detail,
            index=refusing.index,
            errors=refusing.errors,
            violated=self.violations(refusal.violated, refusing.at_ns, refusal.capacities),
            unknown=unknown_rules(refusal.unknown),
            retry_after_s=refusing.retry_after_s,
        )


def unknown_rules(unknown: Iterable[tuple[str, Sequence[str]]]) -> tuple[Unknown, ...]:
    return tuple(Unknown(rule, tuple(fields)) for rule, fields in unknown)


def problem(
    code: str,
    status: int,
    detail: str,
    *,
    index: int | None = None,
    errors: tuple[FieldError, ...] = (),
    violated: tuple[Violation, ...] = (),
    unknown: tuple[Unknown, ...] = (),
    retry_after_s: int | None = None,
) -> Problem:
    zh, en = TITLES[code]
    return Problem(
        f"/problems/{code}",
        en,
        status,
        detail or en,
        code,
        zh,
        index=index,
        errors=errors,
        violated=violated,
        unknown=unknown,
        retry_after_s=retry_after_s,
    )


def framework_problem(status: int, detail: str) -> Problem:
    """The problem of an error that the web framework raised: no such path, no such method."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(
            "internal_error", status, "the error is logged; the command may be sent again with its id"
        )
    code = _OTHER_CODES.get(status, "malformed")
    return problem(code, status, detail)


def encode(problem: Problem) -> bytes:
    return msgspec.json.encode(problem)


def headers_of(problem: Problem) -> dict[str, str]:
    """Headers that the status asks for: RFC 9110, 11.6.1 and 10.2.3."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        return {"www-authenticate": 'Bearer realm="shuji"'}
    if problem.retry_after_s is not None:
        return {"retry-after": str(problem.retry_after_s)}
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"retry-after": str(RETRY_AFTER_SECONDS)}
    return {}


def malformed(error: Exception, asks: Any = None, *, batch: bool = False) -> Refusing:
    """A body or query that could not be read, with the place of the first fault, and in a batch its index.

    `asks` is what it should have been: where a value is one of a few, they are named.
    """
    if not isinstance(error, msgspec.ValidationError):
        return Refusing(Refused.malformed, f"not readable as JSON: {error}")
    found = _PATH.fullmatch(str(error))
    message, path = (found["message"], found["path"]) if found else (str(error), "$")
    if message.startswith("Invalid enum value") and (allowed := _allowed(asks, path)):
        message = f"{message}, it is one of {', '.join(allowed)}"
    index = _INDEX.match(path) if batch else None
    return Refusing(
        Refused.malformed,
        f"{message} at {path}",
        errors=(FieldError(path, message),),
        index=int(index[1]) if index else None,
    )


_STEP: Final = re.compile(r"\.(\w+)|\[")
_type_of: Final = cache(inspect.type_info)


def _allowed(asks: Any, path: str) -> list[str]:
    """The values that may stand at this path of a body, where it takes a few; empty where it takes others."""
    found = [] if asks is None else [_type_of(asks)]
    for step in _STEP.finditer(path):
        found = [inner for kind in found for inner in _within(kind, step[1])]
    plain = [one for kind in found for one in _plain(kind)]
    return [
        str(value)
        for one in plain
        if isinstance(one, inspect.LiteralType)
        for value in one.values
        if value != ""
    ]


def _within(kind: inspect.Type, name: str | None) -> Iterator[inspect.Type]:
    """The type of the field of that name; of a list without a name that of its elements."""
    for one in _plain(kind):
        if isinstance(one, inspect.StructType):
            yield from (field.type for field in one.fields if field.encode_name == name)
        elif name is None and isinstance(one, inspect.ListType | inspect.VarTupleType):
            yield one.item_type


def _plain(kind: inspect.Type) -> Iterator[inspect.Type]:
    """A type without remarks; of several each."""
    if isinstance(kind, inspect.Metadata):
        yield from _plain(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _plain(one)
    else:
        yield kind
