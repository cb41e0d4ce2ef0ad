"""The API's page: how to sign in, then every operation with its fields and an example.

Written by the server from the OpenAPI document itself, so the page says what the document says.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

import msgspec

from exchange.web.openapi import TAGS, document, refused_codes
from exchange.web.operation import Operation

REQUEST_DEPTH: Final = 9
ANSWER_DEPTH: Final = 2
"""How deep the fields of an answer are told; those of a request are told whole."""

SIGNING_IN: Final = """
import base64, httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

key, uscc = Ed25519PrivateKey.generate(), ""      # keep the key; whoever has it is you
public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
sign = lambda text: base64.b64encode(key.sign(text.encode())).decode()

venue = httpx.Client(base_url="http://127.0.0.1:8000")
me = venue.post("/v1/participants", json={
    "legal_name": "Example Ltd", "public_key": public_key, "uscc": uscc,
    "signature": sign(f"shuji-register:{public_key}:{uscc}")}).json()
asked = venue.post("/v1/login/challenge", json={"participant": me["participant"]}).json()
session = venue.post("/v1/login", json={
    "participant": me["participant"], "challenge": asked["challenge"], "signature": sign(asked["challenge"])}).json()
venue.headers["Authorization"] = f"Bearer {session['token']}"
print(venue.get("/v1/participants/me").json())
"""

_STEPS: Final = {
    "zh": (
        "生成 Ed25519 密钥对。<code>public_key</code> 是 32 字节公钥的 base64；"
        "所有签名都是对 ASCII 文本的 Ed25519 签名，再作 base64。",
        "登记一次：<code>POST /v1/participants</code>，签名文本为 <code>shuji-register:PUBLIC_KEY:USCC</code>"
        "（USCC 为统一社会信用代码，交易者必填；不交易者留空，冒号保留）。答复给出编号，如 <code>P2</code>。",
        "登录：<code>POST /v1/login/challenge</code> 取得 <code>challenge</code>，60 秒内有效且只用一次；对该文本原样签名，"
        "连同 <code>challenge</code> 交给 <code>POST /v1/login</code>，得到 30 分钟有效的令牌。"
        "用 <code>scopes</code> 可只要所需的：read、trade、list、money、office、account；不写即为该密钥的全部。",
        "此后每个请求带上请求头 <code>Authorization: Bearer TOKEN</code>。只有标明“对所有人开放”的操作无需令牌。",
        "每个 POST 最好带上 <code>Idempotency-Key</code>：自己新生成的 UUID 第 7 版（订单用 "
        "<code>client_order_id</code>）。没有收到答复时用同一编号、同一内容重发，"
        "不会做两次；同一编号不同内容是 409 id_conflict，编号过旧是 409 id_expired。",
    ),
    "en": (
        "Make an Ed25519 key pair. <code>public_key</code> is base64 of its 32 raw bytes; every signature is Ed25519 over "
        "an ASCII text, in base64.",
        "Register once: <code>POST /v1/participants</code>; signed is the text <code>shuji-register:PUBLIC_KEY:USCC</code> "
        "(USCC: the unified social credit code, which whoever trades needs; without one the text ends with the colon). "
        "The answer has your id, <code>P2</code>.",
        "Sign in: <code>POST /v1/login/challenge</code> gives a <code>challenge</code>, good for 60 s and once. Sign that "
        "text as it is, give both to <code>POST /v1/login</code>, and get a token for 30 minutes. "
        "<code>scopes</code> asks for less than all that the key may: read, trade, list, money, office, account.",
        "From then on send <code>Authorization: Bearer TOKEN</code> with every request. Only operations that say “open to "
        "all” need none.",
        "Send an <code>Idempotency-Key</code> with every POST: a new UUID version 7 of your own (with an order: "
        "<code>client_order_id</code>). Where no answer came, send the same id with the same body again: nothing is done "
        "twice. The same id with another body is 409 id_conflict, one that is too old 409 id_expired.",
    ),
}
_WORDS: Final = {
    "zh": {
        "sign_in": "先登录", "terminal": "在终端上，这些由 `shuji key`、`shuji register`、`shuji login` 代办；用 Python：",
        "open": "（对所有人开放）", "asks": "字段", "answers": "答复的字段", "needed": "必填",
        "refused": "可能的拒绝",
    },
    "en": {
        "sign_in": "Sign in first", "terminal": "`shuji key`, `shuji register` and `shuji login` do this in a terminal; "
        "in Python:",
        "open": "(open to all)", "asks": "Fields", "answers": "Fields of the answer", "needed": "required",
        "refused": "may be refused with",
    },
}  # fmt: skip


class Fields:
    """Rows of (name, type, required, description) out of schemas. Names of inner fields have dots, of elements `[]`."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._components = components

    def of(
        self, schema: Mapping[str, Any], depth: int, prefix: str = ""
    ) -> Iterator[tuple[str, str, bool, str]]:
        inner, path = self._inside(schema, prefix)
        if inner is None or depth <= 0:
            return
        needed = inner.get("required", ())
        joint = f"{path}." if path else ""
        for name, field in inner["properties"].items():
            yield f"{joint}{name}", self.type_of(field), name in needed, self.said_of(field)
            yield from self.of(field, depth - 1, f"{joint}{name}")

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference leads to; of what may be null the other."""
        while True:
            if "$ref" in schema:
                schema = self._components[schema["$ref"].rpartition("/")[2]]
                continue
            others = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
            if len(others) != 1:
                return schema
            schema = others[0]

    def _inside(self, schema: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any] | None, str]:
        """The object within, and how one gets there."""
        found = self._resolved(schema)
        while found.get("type") == "array" and isinstance(found.get("items"), dict):
            found, path = self._resolved(found["items"]), f"{path}[]"
        return (found if found.get("properties") else None), path

    def said_of(self, schema: Mapping[str, Any]) -> str:
        parts = (schema, *schema.get("anyOf", ()), self._resolved(schema))
        return next((one["description"] for one in parts if "description" in one), "")

    def type_of(self, schema: Mapping[str, Any]) -> str:
        found = self._resolved(schema)
        default = schema.get("default")
        ending = f" = {default}" if default not in (None, "", [], {}) else ""
        if "enum" in found:
            return " | ".join(str(one) for one in found["enum"] if one != "") + ending
        kind = str(found.get("type", "any of several"))
        if kind == "array":
            items = found.get("items")
            return f"list of {self.type_of(items)}" if isinstance(items, dict) and items else "list"
        least, most = found.get("minimum"), found.get("maximum")
        if kind == "integer" and (least is not None or most is not None):
            kind += f" {'' if least is None else least}..{'' if most is None else most}"
        if kind == "string" and "maxLength" in found:
            kind += f", at most {found['maxLength']} characters"
        return kind + ending


def docs_page(operations: Sequence[Operation], tongue: str) -> str:
    told = document(operations)
    fields = Fields(told["components"]["schemas"])
    parts = ["<p>OpenAPI 3.1: <a href=/openapi.json>/openapi.json</a></p>", _signing_in(tongue)]
    for tag, text in TAGS.items():
        parts.append(f"<h2>{escape(text)}</h2>")
        for one in operations:
            if one.tag == tag:
                parts.append(_operation(one, told["paths"][one.path][one.method.lower()], fields, tongue))
    return "".join(parts)


def _signing_in(tongue: str) -> str:
    words = _WORDS[tongue]
    steps = "".join(f"<li>{step}</li>" for step in _STEPS[tongue])
    return (
        f"<h2>{words['sign_in']}</h2><ol>{steps}</ol><p>{escape(words['terminal'])}</p>"
        f"<pre><code>{escape(SIGNING_IN.strip())}</code></pre>"
    )


def _operation(operation: Operation, told: Mapping[str, Any], fields: Fields, tongue: str) -> str:
    words = _WORDS[tongue]
    parts = [
        f"<h3><code>{operation.method} {escape(operation.path)}</code></h3><p>{escape(operation.summary)}"
    ]
    parts.append("</p>" if operation.signed_in else f" <span class=muted>{words['open']}</span></p>")
    if operation.about:
        parts.append(f"<pre>{escape(operation.about.strip())}</pre>")
    body = _schema(told.get("requestBody", {}))
    if body and (meaning := fields.said_of(body)):
        parts.append(f"<p>{escape(meaning)}</p>")
    asked = [*_parameter_rows(told, fields), *fields.of(body, REQUEST_DEPTH)]
    parts.append(_table(words["asks"], asked, words))
    parts.append(_json("", operation.example))
    answered = list(fields.of(_schema(told["responses"][str(operation.status)]), ANSWER_DEPTH))
    parts.append(_json(f"{operation.status} ", operation.example_answer))
    if answered:
        inside = _table("", answered, words, needed=False)
        parts.append(f"<details><summary>{words['answers']}</summary>{inside}</details>")
    codes = " ".join(f"<a href=/problems/{one.name}>{one.name}</a>" for one in refused_codes(operation))
    parts.append(f"<p class=muted>{words['refused']}: {codes}</p>")
    return "".join(parts)


def _parameter_rows(told: Mapping[str, Any], fields: Fields) -> Iterator[tuple[str, str, bool, str]]:
    for one in told["parameters"]:
        kind, said = fields.type_of(one["schema"]), one.get("description") or fields.said_of(one["schema"])
        yield f"{one['name']} ({one['in']})", kind, one.get("required", False), said or one.get("example", "")


def _schema(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a JSON body or answer; empty for any other."""
    schema: Mapping[str, Any] = said.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _table(
    caption: str, rows: Sequence[tuple[str, str, bool, str]], words: Mapping[str, str], *, needed: bool = True
) -> str:
    if not rows:
        return ""
    mark = f" <b>{words['needed']}</b>" if needed else ""
    head = f"<p class=muted>{caption}</p>" if caption else ""
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}{mark if required else ''}<td>{escape(said)}"
        for name, kind, required, said in rows
    )
    return f"{head}<table>{lines}</table>"


def _json(label: str, example: Any) -> str:
    if example is None:
        return ""
    text = msgspec.json.format(msgspec.json.encode(example), indent=1).decode()
    return f"<pre><code>{label}{escape(text)}</code></pre>"
