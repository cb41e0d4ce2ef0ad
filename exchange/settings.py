"""What can be set from outside: flags first, then the environment, then the defaults here.

SHUJI_DATA          data folder                        --data
SHUJI_DSN           an outside PostgreSQL              --dsn
SHUJI_HOST          where `serve` listens              --host
SHUJI_PORT                                             --port
SHUJI_PUBLIC_URL    where others reach the venue       --public-url
SHUJI_JURISDICTION  the venue's place, ISO 3166-2      --jurisdiction
SHUJI_LOG           text or json                       --log
SHUJI_RATES         on or off: limits of orders        --rates
SHUJI_URL           the venue that commands speak to   --url
SHUJI_KEY           whose key they use                 --key
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
HIGHEST_PORT = 65_535


class SettingError(ValueError):
    """A flag or variable has a value that cannot be. The text names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Of one venue. `dsn` empty: a PostgreSQL of the venue's own, in the data folder."""

    data: Path = Path(".shuji")
    dsn: str = ""
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    jurisdiction: str = "CN-46"
    simulated_clock: bool = False
    sample: bool = True
    standby: bool = False
    log: str = "text"
    rates: str = "on"
    public_url: str = ""

    def __repr__(self) -> str:
        """Without the DSN, which may hold a password."""
        return f"Settings(data={str(self.data)!r}, host={self.host!r}, port={self.port})"

    @classmethod
    def gather(cls, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Self:
        """`flags` are those given: a name of a field, or None where the flag was left out."""
        given: dict[str, Any] = {
            field: environ[variable] for field, variable in _VARIABLES.items() if environ.get(variable)
        }
        given |= {name: value for name, value in (flags or {}).items() if value is not None}
        if "data" in given:
            given["data"] = Path(given["data"])
        if "port" in given:
            given["port"] = read_port(str(given["port"]))
        if given.get("log", "text") not in ("text", "json"):
            raise SettingError(f"the log is text or json, not {given['log']!r}")
        if given.get("rates", "on") not in ("on", "off"):
            raise SettingError(f"rates are on or off, not {given['rates']!r}")
        if "public_url" in given:
            given["public_url"] = read_origin(given["public_url"])
        return cls(**given)

    @property
    def url(self) -> str:
        """Where people on this machine reach the venue."""
        host = {"0.0.0.0": DEFAULT_HOST, "::": "[::1]"}.get(self.host, self.host)  # noqa: S104  # read, not bound
        return f"http://{host}:{self.port}"

    @property
    def public(self) -> str:
        """Where others reach it: credentials are issued in the name of this address (did:web)."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def operator_key(self) -> Path:
        return self.data / "operator.key"

    @property
    def venue_key(self) -> Path:
        """What checkpoints of the evidence and credentials are signed with."""
        return self.data / "venue.key"

    @property
    def files(self) -> Path:
        """What merchants deliver, by hash."""
        return self.data / "files"


_VARIABLES = {
    "data": "SHUJI_DATA",
    "dsn": "SHUJI_DSN",
    "host": "SHUJI_HOST",
    "port": "SHUJI_PORT",
    "jurisdiction": "SHUJI_JURISDICTION",
    "log": "SHUJI_LOG",
    "rates": "SHUJI_RATES",
    "public_url": "SHUJI_PUBLIC_URL",
}


def read_port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) <= HIGHEST_PORT:
        return int(text)
    raise SettingError(f"the port is a number from 1 to {HIGHEST_PORT}, not {text!r}")


def read_origin(text: str) -> str:
    """Scheme, host and port alone: the venue's paths follow, and its DID is of the host."""
    address = urlsplit(text)
    try:
        plain = f"{address.scheme}://{address.netloc}" == text.rstrip("/") and address.port != 0
    except ValueError:
        plain = False
    if (
        address.scheme not in ("http", "https")
        or not plain
        or not address.hostname
        or set("@[") & set(address.netloc)
    ):
        raise SettingError(f"the public URL is like https://venue.example, without a path, not {text!r}")
    return text.rstrip("/").lower()


def venue_url(environ: Mapping[str, str], flag: str | None) -> str:
    """The venue that a command speaks to; without --url and SHUJI_URL the one that `serve` starts here."""
    chosen = flag or environ.get("SHUJI_URL") or Settings.gather(environ).url
    if not chosen.startswith(("http://", "https://")):
        raise SettingError(f"the venue's address starts with http:// or https://, not {chosen!r}")
    return chosen.rstrip("/")
