"""What is owed after a trade (成交后的义务): the kinds of duty, their terms, and the life of each as a table.

A duty is somebody's, runs until a date, and is proven by evidence (a hash). Where the law wants it checked, a reviewer
accepts the proof or refuses it; until then the date waits. A date that passes without proof is judged by the rulebook in
phase `post_trade`: a breach, with its article. What was missed is still owed, and redresses the fault when it is proven.

    scheduled ──remind──> reminded          broken <──refuse── late
        │ │ \\               │ │ ^              ^ └──prove──────> │
        │ │  └─prove──> offered<┘ │refuse         │                └─accept──> redressed
        │ │               │ │ └───┘               │
        │ │         accept│ └──waive──> waived    │ miss, find
        │ └──fulfil──> done                       │
        └─────────────────────────────────────────┘
"""

from typing import Final, Literal

import msgspec

from clearing.calendar import Calendar, day_of, end_of, years_on

DutyKind = Literal["filing", "deletion", "stop", "records", "purpose"]
DutyState = Literal["scheduled", "reminded", "offered", "done", "broken", "late", "redressed", "waived"]
DutyStep = Literal["remind", "prove", "accept", "refuse", "waive", "fulfil", "miss", "find"]

DUTY_LIFE: Final[dict[tuple[DutyState, DutyStep], DutyState]] = {
    ("scheduled", "remind"): "reminded",
    ("scheduled", "prove"): "offered",
    ("scheduled", "fulfil"): "done",
    ("scheduled", "miss"): "broken",
    ("scheduled", "find"): "broken",
    ("scheduled", "waive"): "waived",
    ("reminded", "prove"): "offered",
    ("reminded", "miss"): "broken",
    ("reminded", "waive"): "waived",
    ("offered", "accept"): "done",
    ("offered", "refuse"): "reminded",
    ("offered", "waive"): "waived",
    ("broken", "prove"): "late",
    ("late", "accept"): "redressed",
    ("late", "refuse"): "broken",
}
"""What is not in this table cannot happen."""

CLOSED: Final = ("done", "redressed", "waived")
"""Nothing is owed any more."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """`working_days` until it is due, or `years`; neither: it is written down only when a breach was found.

    `remind_days` working days before the due day its debtor is reminded. `conduct` is what a breach is to the bureau.
    """

    rule: str
    who: Literal["seller", "buyer"]
    working_days: int = 0
    remind_days: int = 0
    years: int = 0
    conduct: Literal["duty_missed", "data_misuse"] = "duty_missed"
    zh: str
    en: str
    clause: str


KINDS: Final[dict[DutyKind, Kind]] = {
    "filing": Kind(
        rule="P01",
        who="seller",
        working_days=10,
        remind_days=3,
        zh="向登记机构申请变更或备案",
        en="apply for the change or filing with the registration institution",
        clause="北京市企业数据知识产权工作指引第十六条：企业对数据知识产权进行交易、质押、许可使用的，"
        "应当在十个工作日内通过登记机构申请变更或备案",
    ),
    "deletion": Kind(
        rule="P03",
        who="buyer",
        working_days=10,
        remind_days=3,
        zh="删除期满的数据并证明",
        en="delete what the term has ended for, and prove it",
        clause="深圳市卫生健康数据管理办法第二十五条：使用期限届满后的数据，应当采用无法还原的方式及时进行删除，"
        "并验证数据删除操作的可信性；期限十个工作日为本所规则",
    ),
    "stop": Kind(
        rule="P05",
        who="buyer",
        working_days=5,
        remind_days=2,
        zh="停止处理并删除已撤回同意者的个人信息",
        en="stop processing and delete the information of those who withdrew consent",
        clause="个人信息保护法第十五条第二款、第四十七条：撤回同意不影响撤回前已进行的处理的效力；"
        "个人撤回同意的，应当主动删除；期限五个工作日为本所规则",
    ),
    "records": Kind(
        rule="P02",
        who="seller",
        years=3,
        zh="保存提供个人信息、重要数据的处理情况记录三年",
        en="keep the records of providing personal information or important data for three years",
        clause="网络数据安全管理条例第十二条、个人信息保护法第五十六条：处理情况记录应当至少保存三年",
    ),
    "purpose": Kind(
        rule="P04",
        who="buyer",
        conduct="data_misuse",
        zh="仅为约定的目的使用",
        en="use it for the agreed purpose only",
        clause="江西省数据应用条例第十八条第三款、个人信息保护法第二十三条：超出约定目的使用",
    ),
}
"""Working days without a clause that counts them are the venue's own rule (本所规则): the law says 及时."""


class Term(msgspec.Struct, frozen=True):
    """Dates of a duty in UTC ns, the last instants that are in time; `remind_ns` is 0 where nobody is reminded."""

    due_ns: int
    remind_ns: int
    provisional: bool


def term_of(kind: Kind, from_ns: int, calendar: Calendar) -> Term:
    """The term that an event at this instant sets off; its own day does not count (民法典第二百零一条)."""
    start = day_of(from_ns)
    if kind.years:
        return Term(end_of(years_on(start, kind.years)), 0, False)
    if not kind.working_days:
        return Term(from_ns, 0, False)
    due, provisional = calendar.add_working_days(start, kind.working_days)
    remind, _ = calendar.add_working_days(start, kind.working_days - kind.remind_days)
    return Term(end_of(due), end_of(remind), provisional)
