"""`shuji desk`: print a link that opens the operator's desk in a browser, once."""

import os
from typing import Any

import msgspec

from exchange.settings import venue_url
from exchange.terminal import Arguments, command, key_path, print_json, say, takes_venue_url


def add(commands: Any) -> None:
    said = "print a link that opens the operator's desk in a browser, once 打印一次性链接，打开运营台"
    takes_venue_url(command(commands, "desk", run_desk, said), key_required=True)


def run_desk(arguments: Arguments) -> int:
    from exchange.client import Client

    url = venue_url(os.environ, arguments.url)
    with Client(url, key_path(arguments)) as client:
        answer = msgspec.json.decode(client.call("POST", "/v1/desk/tickets").content, type=dict[str, Any])
    link = f"{url}{answer['path']}"
    if arguments.json:
        print_json({"url": link, "expires_at": answer["expires_at"]})
    else:
        print(link)
        say(f"一次有效，至 good once, until {answer['expires_at']}: 在浏览器中打开 open it in a browser")
    return 0
