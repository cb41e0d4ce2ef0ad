"""Pages for people: what this is and what to do next, the API's page, a page for each problem.

Plain HTML with its style inside: no scripts, nothing fetched from elsewhere, readable on a telephone. Chinese or
English by `Accept-Language`.
"""

from html import escape
from typing import Any, Final

from litestar import Response
from msgspec import Struct

from exchange.events import Refused
from exchange.web.operation import Call, Operation, answer
from exchange.web.participants import EXAMPLE_USCC as USCC
from exchange.web.problem import TITLES, Refusing

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:16px/1.6 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;max-width:46rem;
margin:0 auto;padding:1rem}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2rem}h3{font-size:1rem;margin:1.4rem 0 .2rem}
pre{overflow-x:auto;padding:.7rem;border:1px solid #8886;border-radius:.4rem;font-size:.85rem}
code{font-size:.9em}a{color:inherit}.muted{opacity:.7}.number{font-size:1.4rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem .2rem 0;vertical-align:top}
"""
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "vary": "accept, accept-language",
}

_WELCOME: Final = {
    "zh": {
        "title": "数集：开放的数据要素交易场所",
        "what": "数据商挂牌，买方下单，撮合成交；合规的交易结算，不合规的交易拒绝并写明所违反的条文。",
        "offered": "个挂牌正在出售",
        "next": "下一步",
        "browse": "看看有什么",
        "key": "生成密钥并登记（统一社会信用代码换成您自己的）",
        "login": "登录",
        "verify": "由审核员核验身份后，查看样例并下单",
        "first": "空的交易场所：运营方任命第一位审核员",
        "more": "更多",
        "docs": "接口说明",
        "rules": "禁止交易规则",
    },
    "en": {
        "title": "Shuji: an open venue for data elements",
        "what": "Merchants list, buyers order, an engine matches; a lawful trade settles, an unlawful one is refused "
        "with the article it breaks.",
        "offered": "listings on offer",
        "next": "What to do next",
        "browse": "See what there is",
        "key": "Make a key and register (with your own unified social credit code)",
        "login": "Sign in",
        "verify": "Once a reviewer has verified you, look at the sample and order",
        "first": "An empty venue: the operator appoints the first reviewer",
        "more": "More",
        "docs": "the API",
        "rules": "the no-trade rules",
    },
}


class Steps(Struct):
    what: str
    command: str


class Welcome(Struct):
    """What this is and what to do next, for programs."""

    name: str
    what_zh: str
    what_en: str
    published_listings: int
    next: tuple[Steps, ...]
    links: dict[str, str]


def _commands(url: str) -> dict[str, str]:
    """Commands to copy, for a venue at this address."""
    at = "" if url == "http://127.0.0.1:8000" else f" --url {url}"
    register = f'--key my.key --name "Example Ltd" --uscc {USCC} --role buyer'
    return {
        "browse": f"shuji call GET /v1/catalogue{at}",
        "key": f"shuji key my\nshuji register {register}{at}",
        "login": f"shuji login --key my.key{at}",
        "verify": f"""shuji call GET /v1/products/D1/sample --key my.key{at}
shuji call POST /v1/orders '{{"listing":"L1","quantity":1}}' --key my.key{at}""",
        "first": f"""shuji call POST /v1/participants/P2/roles '{{"role":"reviewer"}}' --key .shuji/operator.key{at}""",
    }


def language(accepted: str) -> str:
    """zh or en: whichever `Accept-Language` names with the higher weight; Chinese where it names neither."""
    weights = {"zh": 0.0, "en": 0.0}
    for part in accepted.lower().split(","):
        name, _, weight = part.strip().partition(";q=")
        tongue = name[:2]
        if tongue in weights:
            weights[tongue] = max(weights[tongue], _weight(weight))
    return "en" if weights["en"] > weights["zh"] else "zh"


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _url(call: Call) -> str:
    host = call.header("host") or "127.0.0.1:8000"
    return f"{call.scope.get('scheme', 'http')}://{host}"


async def _published(call: Call) -> int:
    """As the catalogue has it: counting them in memory would hold up the writer."""
    await call.tables_ready()
    count: int = await call.desk.pool.fetchval(
        "SELECT count(*) FROM listing_search WHERE state = 'published'"
    )
    return count


async def welcome(call: Call, asked: None) -> Response[Any]:
    published = await _published(call)
    commands = _commands(_url(call))
    accept = call.header("accept")
    if "json" in accept and "text/html" not in accept:
        steps = tuple(Steps(_WELCOME["en"][step], command) for step, command in commands.items())
        links = {
            "docs": "/docs",
            "openapi": "/openapi.json",
            "catalogue": "/v1/catalogue",
            "rules": "/v1/rules",
        }
        return answer(
            Welcome(call.desk.name, _WELCOME["zh"]["what"], _WELCOME["en"]["what"], published, steps, links),
            headers={"vary": _HEADERS["vary"]},
        )
    tongue = language(call.header("accept-language"))
    return html(tongue, _WELCOME[tongue]["title"], _welcome_body(_WELCOME[tongue], published, commands))


def _welcome_body(words: dict[str, str], published: int, commands: dict[str, str]) -> str:
    steps = "".join(
        f"<h3>{escape(words[step])}</h3><pre><code>{escape(command)}</code></pre>"
        for step, command in commands.items()
    )
    return (
        f"<p>{escape(words['what'])}</p>"
        f"<p><span class=number>{published}</span> {escape(words['offered'])}</p>"
        f"<h2>{escape(words['next'])}</h2>{steps}"
        f"<h2>{escape(words['more'])}</h2>"
        f"<p><a href=/docs>{escape(words['docs'])}</a> · <a href=/v1/rules>{escape(words['rules'])}</a> · "
        f"<a href=/openapi.json>OpenAPI</a> · <a href=/v1/catalogue>/v1/catalogue</a></p>"
    )


def html(tongue: str, title: str, body: str) -> Response[str]:
    page = (
        f"<!doctype html><html lang={tongue}><meta charset=utf-8>"
        f'<meta name=viewport content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )
    return Response(page, media_type="text/html", headers=_HEADERS)


async def problem_page(call: Call, asked: None) -> Response[Any]:
    """What a problem's `type` points to (RFC 9457, 3.1.1)."""
    code = call.path["code"]
    if code not in TITLES:
        raise Refusing(Refused.not_found, f"there is no problem {code}")
    zh, en = TITLES[code]
    statuses = {one.name: one.status for one in Refused}
    status = statuses.get(code, {"method_not_allowed": 405}.get(code, 500))
    kept = code in statuses and Refused[code].kept
    told = (
        "<p>同一编号再次提交会得到同样的拒绝。 The same id gets the same refusal again.</p>" if kept else ""
    )
    body = f"<p>{escape(zh)}</p><p>{escape(en)}</p><p class=muted>HTTP {status} · <code>{escape(code)}</code></p>{told}"
    return html(language(call.header("accept-language")), code, body)


OPERATIONS: Final = (
    Operation("GET", "/", welcome, "What this is and what to do next: a page, or JSON where asked for", "venue",
              answers=Welcome, signed_in=False, page_too=True,
              example_answer={"name": "数集 Shuji", "what_zh": _WELCOME["zh"]["what"], "what_en": _WELCOME["en"]["what"],
                              "published_listings": 8, "links": {"docs": "/docs"},
                              "next": [{"what": "See what there is", "command": "shuji call GET /v1/catalogue"}]}),
    Operation("GET", "/problems/{code}", problem_page, "What a problem means", "venue", answers=str, signed_in=False,
              refused=(Refused.not_found,)),
)  # fmt: skip
