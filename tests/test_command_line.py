"""The `shuji` command by itself: what it sends, what it prints, how it ends. The real venue is met in the README's
walk and in the acceptance checks; here a plain HTTP server notes what arrives.
"""

import io
import json
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exchange import client, keys
from exchange.__main__ import main
from exchange.sealing import place_of
from exchange.settings import SettingError, Settings, venue_url


class Seen(NamedTuple):
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Door(ThreadingHTTPServer):
    """Notes each request and gives the answers laid out for it; a token is good until `ended` names it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[Seen] = []
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.ended: set[str] = set()
        self.logins = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, request: Seen) -> tuple[int, str, bytes]:
        if request.path == "/v1/login/challenge":
            return 200, "application/json", b'{"challenge":"c-1"}'
        if request.path == "/v1/login":
            self.logins += 1
            session = {"token": f"t-{self.logins}", "participant": "P9", "expires_at": "2026-01-01T00:30:00Z"}
            return 200, "application/json", json.dumps(session).encode()
        if request.headers.get("authorization", "").removeprefix("Bearer ") in self.ended:
            return 401, "application/problem+json", b'{"code":"not_signed_in","title":"t","detail":"d"}'
        return self.answers.get(request.path, (200, "application/json", b'{"ok":true}'))


class _Handler(BaseHTTPRequestHandler):
    server: Door

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Seen(self.command, self.path, headers, body)
        self.server.seen.append(request)
        status, kind, content = self.server.answer(request)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _take

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    with Door() as opened:
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("SHUJI_URL", opened.url)
        monkeypatch.delenv("SHUJI_KEY", raising=False)
        yield opened
        opened.shutdown()
        thread.join()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "my.key"
    keys.create(path)
    return path


Said = pytest.CaptureFixture[str]


# ---- call: what is sent


def test_a_post_carries_an_id_of_now_and_a_get_none(door: Door) -> None:
    assert main(["call", "POST", "/v1/listings/L1/submit", "{}"]) == 0
    assert main(["call", "GET", "/v1/venue"]) == 0
    post, get = door.seen
    made = uuid.UUID(post.headers["idempotency-key"])
    assert made.version == 7
    assert "idempotency-key" not in get.headers
    assert post.headers["content-type"] == "application/json"


def test_a_given_id_is_kept(door: Door) -> None:
    given = client.uuid7()
    assert main(["call", "POST", "/v1/x", "{}", "--idempotency-key", given]) == 0
    assert main(["call", "POST", "/v1/x", "{}", "--header", f"idempotency-key: {given}"]) == 0
    assert [request.headers["idempotency-key"] for request in door.seen] == [given, given]


def test_ids_are_of_version_7_and_follow_the_clock() -> None:
    made = [uuid.UUID(client.uuid7()) for _ in range(1000)]
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {uuid.RFC_4122}
    assert len(set(made)) == 1000
    stamps = [one.int >> 80 for one in made]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("order", [["BODY", "--header", "A: b"], ["--header", "A: b", "BODY"]])
def test_a_body_stands_before_or_after_the_options(door: Door, order: list[str]) -> None:
    body = '{"listing": "L1"}'
    assert main(["call", "POST", "/v1/orders", *[body if part == "BODY" else part for part in order]]) == 0
    assert door.seen[0].body == body.encode()


def test_a_body_comes_from_standard_input(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO('{"题": 1}'.encode())))
    assert main(["call", "POST", "/v1/x", "-"]) == 0
    assert json.loads(door.seen[0].body) == {"题": 1}


def test_a_file_is_sent_as_it_is_with_its_length(door: Door, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (tmp_path / "rain.csv").write_bytes(content)
    assert main(["call", "PUT", "/v1/files?name=降水.csv", f"@{tmp_path / 'rain.csv'}"]) == 0
    request = door.seen[0]
    assert request.body == content
    assert request.headers["content-type"] == "application/octet-stream"
    assert request.headers["content-length"] == str(len(content))


def test_a_json_file_is_json(door: Door, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text('{"listing": "L1"}')
    assert main(["call", "post", "/v1/orders", f"@{tmp_path / 'order.json'}"]) == 0
    assert door.seen[0].headers["content-type"] == "application/json"


# ---- call: who asks


def test_a_key_signs_in_once_and_its_token_serves_again(door: Door, key: Path) -> None:
    for _ in range(2):
        assert main(["call", "GET", "/v1/participants/me", "--key", str(key)]) == 0
    assert door.logins == 1
    assert [seen.headers.get("authorization") for seen in door.seen[2:]] == ["Bearer t-1", "Bearer t-1"]
    assert keys.read(key).participant == "P9"


def test_an_ended_token_is_renewed_and_the_same_request_repeated(door: Door, key: Path) -> None:
    assert main(["login", "--key", str(key)]) == 0
    door.ended = {"t-1"}
    assert main(["call", "POST", "/v1/x", "{}", "--key", str(key)]) == 0
    first, again = [seen for seen in door.seen if seen.path == "/v1/x"]
    assert again.headers["authorization"] == "Bearer t-2"
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]


def test_signing_in_again_in_vain_is_said(door: Door, key: Path, capsys: Said) -> None:
    door.ended = {"t-1", "t-2"}
    assert main(["call", "GET", "/v1/x", "--key", str(key)]) == 1
    assert "401 not_signed_in" in capsys.readouterr().err


def test_a_session_of_another_venue_is_not_sent(door: Door, key: Path) -> None:
    keys.keep_session(key, keys.Session(token="elsewhere", participant="P1", url="http://elsewhere"))
    assert main(["call", "GET", "/v1/x", "--key", str(key)]) == 0
    assert "Bearer elsewhere" not in [seen.headers.get("authorization") for seen in door.seen]


def test_a_challenge_that_is_a_registration_is_not_signed(
    door: Door, key: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setattr(
        door, "answer", lambda _: (200, "application/json", b'{"challenge":"shuji-register:x"}')
    )
    assert main(["login", "--key", str(key)]) == 1
    assert "nothing was signed" in capsys.readouterr().err
    assert len(door.seen) == 1


def test_register_proves_the_key_and_notes_the_participant(door: Door, key: Path, capsys: Said) -> None:
    door.answers["/v1/participants"] = (201, "application/json", b'{"participant":"P3"}')
    agent = ["--agent-name", "张三", "--agent-contact", "zhangsan@shuji.example"]
    asked = [
        "register",
        "--key",
        str(key),
        "--name",
        "N",
        "--uscc",
        "U",
        "--role",
        "merchant",
        "--role",
        "buyer",
    ]
    assert main([*asked, *agent]) == 0
    body: dict[str, Any] = json.loads(door.seen[0].body)
    assert body["roles"] == ["merchant", "buyer"]
    assert body["agent"] == {"name": "张三", "contact": "zhangsan@shuji.example"}
    assert body["signature"] == keys.read(key).sign_registration("U")
    assert keys.read(key).participant == "P3"
    assert capsys.readouterr().out == "P3\n"


# ---- what is printed, and the status


def test_an_answer_is_laid_out_for_people_and_raw_for_machines(door: Door, capsys: Said) -> None:
    door.answers["/v1/x"] = (200, "application/json", '{"zh":"数集","n":[1,2]}'.encode())
    main(["call", "GET", "/v1/x"])
    assert capsys.readouterr().out == '{\n  "zh": "数集",\n  "n": [\n    1,\n    2\n  ]\n}\n'
    main(["call", "GET", "/v1/x", "--json"])
    assert capsys.readouterr().out == '{"zh":"数集","n":[1,2]}\n'
    main(["call", "GET", "/v1/x", "--pick", "n.1"])
    assert capsys.readouterr().out == "2\n"
    main(["call", "GET", "/v1/x", "--pick", "zh"])
    assert capsys.readouterr().out == "数集\n"


def test_picking_what_is_not_there_is_said(door: Door, capsys: Said) -> None:
    assert main(["call", "GET", "/v1/x", "--pick", "a.b"]) == 2
    assert "has no a.b" in capsys.readouterr().err


def test_bytes_go_to_a_file(door: Door, tmp_path: Path) -> None:
    door.answers["/v1/e"] = (200, "text/csv", b"a,b\n\xff")
    assert main(["call", "GET", "/v1/e", "--out", str(tmp_path / "got")]) == 0
    assert (tmp_path / "got").read_bytes() == b"a,b\n\xff"


def test_a_refusal_names_rules_and_articles(door: Door, capsys: Said) -> None:
    violated = {
        "rule": "B04",
        "message_zh": "超出授权",
        "message_en": "Not authorised",
        "citations": [{"zh": "第三十条", "en": "Article 30", "authority": "policy", "binding": True}],
    }
    problem = {"code": "unlawful", "title": "t", "detail": "d", "index": 7, "violated": [violated]}
    problem["unknown"] = [{"rule": "C07", "fields": ["consent.purposes"]}]
    door.answers["/v1/orders"] = (422, "application/problem+json", json.dumps(problem).encode())
    assert main(["call", "POST", "/v1/orders", "{}"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    for part in (
        "422 unlawful (element 7)",
        "B04 超出授权 Not authorised",
        "依据 under 第三十条 / Article 30",
        "consent.purposes",
    ):
        assert part in captured.err
    assert main(["call", "POST", "/v1/orders", "{}", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "unlawful"


def test_an_answer_that_is_no_problem_document_is_shown(door: Door, capsys: Said) -> None:
    door.answers["/v1/x"] = (502, "text/html", b"<h1>Bad gateway</h1>")
    assert main(["call", "GET", "/v1/x"]) == 1
    assert "502" in capsys.readouterr().err


def test_no_venue_is_one_line_that_says_what_to_do(capsys: Said) -> None:
    assert main(["call", "GET", "/v1/venue", "--url", "http://127.0.0.1:9"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "shuji serve" in said


@pytest.mark.parametrize(
    "wrong",
    [
        ["call", "GET", "v1/venue"],
        ["call", "POST", "/v1/x", "{not json"],
        ["call", "POST", "/v1/x", "@/nowhere/at all"],
        ["call", "GET", "/v1/x", "--header", "no colon"],
        ["call", "GET", "/v1/x", "--url", "127.0.0.1:8000"],
        ["key"],
        ["key", "a", "--out", "b"],
        ["serve", "--port", "0"],
        ["serve", "--port", "http"],
    ],
)
def test_wrong_use_ends_with_2_and_one_line(wrong: list[str], capsys: Said) -> None:
    assert main(wrong) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["frobnicate"],
        [],
        ["call", "FETCH", "/"],
        ["call", "GET", "/", "{}", "{}"],
        ["judge", "-", "x"],
        ["call", "GET", "/", "--no"],
    ],
)
def test_what_argparse_refuses_ends_with_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2


# ---- key, sign, judge, verify


def test_key_and_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["key", "merchant"]) == 0
    public_key = capsys.readouterr().out.strip()
    assert keys.read(tmp_path / "merchant.key").public_key == public_key
    assert main(["key", "merchant"]) == 1
    assert "there already" in capsys.readouterr().err
    assert main(["sign", "hello", "--key", "merchant.key", "--json"]) == 0
    signed = json.loads(capsys.readouterr().out)
    assert signed == {
        "public_key": public_key,
        "signature": keys.read(tmp_path / "merchant.key").sign("hello"),
    }


def test_judge_answers_each_line_and_ends_with_1_for_a_bad_one(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "contexts.jsonl"
    file.write_text(
        '{"id":"x","phase":"order","product":{"secret_kind":"state"}}\n{bad\n\n{"id":"y","phase":"order"}\n'
    )
    assert main(["judge", str(file)]) == 1
    first, bad, last = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert (first["id"], first["verdict"]) == ("x", "reject")
    assert "A01" in first["rules"]
    assert "error" in bad
    assert (last["id"], last["verdict"]) == ("y", "indeterminate")


def test_verify_and_judge_of_nothing_are_one_line(tmp_path: Path, capsys: Said) -> None:
    assert main(["verify", "--data", str(tmp_path / "none")]) == 2
    assert main(["judge", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.count("\n") == 2
    assert not (tmp_path / "none").exists()


# ---- settings


def test_flags_come_before_the_environment_before_the_defaults() -> None:
    environment = {"SHUJI_DATA": "/d", "SHUJI_PORT": "8123", "SHUJI_DSN": "postgresql://x"}
    settings = Settings.gather(environment, {"port": "9000", "host": None, "sample": False})
    assert (settings.data, settings.port, settings.host) == (Path("/d"), 9000, "127.0.0.1")
    assert settings.sample is False
    assert settings.dsn == "postgresql://x"
    assert Settings.gather({}).data == Path(".shuji")


def test_the_public_address_is_the_venues_name() -> None:
    """did:web: a host, and a port with its colon encoded; without one a name for trying out."""
    named = Settings.gather({"SHUJI_PUBLIC_URL": "https://Venue.example:8443/"})
    assert named.public == "https://venue.example:8443"
    assert place_of(named.public).did == "did:web:venue.example%3A8443"
    assert place_of("https://venue.example").did == "did:web:venue.example"
    assert Settings.gather({}, {"port": "8123"}).public == "http://localhost:8123"


@pytest.mark.parametrize(
    "url",
    ["venue.example", "ftp://venue.example", "https://venue.example/shuji", "https://u@venue.example", "https://",
     "https://venue.example:x", "https://venue.example?a", "https://[::1]", "https://venue.example:0"],
)  # fmt: skip
def test_a_public_address_has_no_path_and_no_people(url: str) -> None:
    with pytest.raises(SettingError, match="public URL"):
        Settings.gather({"SHUJI_PUBLIC_URL": url})


def test_a_password_in_the_dsn_does_not_show() -> None:
    assert "hush" not in repr(Settings(dsn="postgresql://u:hush@h/d"))


def test_commands_speak_to_the_venue_that_serve_starts_here() -> None:
    assert venue_url({}, None) == "http://127.0.0.1:8000"
    assert venue_url({"SHUJI_PORT": "8123"}, None) == "http://127.0.0.1:8123"
    assert venue_url({"SHUJI_URL": "https://venue.example/"}, None) == "https://venue.example"
    assert venue_url({"SHUJI_URL": "https://venue.example"}, "http://other") == "http://other"
    with pytest.raises(SettingError):
        Settings.gather({"SHUJI_PORT": "70000"})


def test_a_refusal_does_not_say_its_title_twice() -> None:
    title = "The identity is not verified"
    for detail, end in (
        (f"{title}: have it verified first.", f"{title}: have it verified first."),
        (title, title),
    ):
        said = {"title": title, "title_zh": "身份未核验", "code": "not_verified", "detail": detail}
        [line] = client.explain(403, json.dumps(said).encode())
        assert line == f"403 not_verified 身份未核验 {end}"
