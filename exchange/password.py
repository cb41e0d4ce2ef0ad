"""`shuji password`: set the password and the authenticator with which a person enters at a console."""

import getpass
import os
import sys
from typing import Any

import msgspec

from exchange import keys
from exchange.settings import venue_url
from exchange.terminal import Arguments, command, key_path, print_json, say, takes_venue_url


def add(commands: Any) -> None:
    said = "set password and authenticator for the console, signed by your key 设置控制台密码和验证器"
    takes_venue_url(command(commands, "password", run_password, said), key_required=True)


def run_password(arguments: Arguments) -> int:
    """Asks for a password, shows the authenticator's secret, asks for a code of it; then both count."""
    from exchange.client import Client

    path = key_path(arguments)
    assert path is not None, "this command has to be told a key"
    password = _ask("新密码 new password: ", getpass.getpass)
    with Client(venue_url(os.environ, arguments.url), path) as client:
        participant = client.sign_in().participant
        signature = keys.read(path).sign(keys.password_text(participant, password))
        _call(client, "password", {"password": password, "signature": signature})
        shown = _call(client, "totp", {})
        say(f"加入验证器应用 add to an authenticator app:\n  {shown['secret']}\n  {shown['uri']}")
        counts = _call(
            client, "totp/confirm", {"code": _ask("应用显示的代码 the code that it shows: ", input)}
        )
    if arguments.json:
        print_json(counts)
    else:
        say(f"{participant}: 密码和验证器已生效 password and authenticator count now")
    return 0


def _ask(prompt: str, at_terminal: Any) -> str:
    """From a person without showing it, or a line of what is piped in."""
    if sys.stdin.isatty():
        return str(at_terminal(prompt))
    say(prompt)
    return sys.stdin.readline().rstrip("\n")


def _call(client: Any, what: str, body: dict[str, str]) -> dict[str, Any]:
    answer = client.call("POST", f"/v1/participants/me/{what}", msgspec.json.encode(body))
    return msgspec.json.decode(answer.content, type=dict[str, Any])
