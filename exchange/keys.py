"""Ed25519 keys in files (RFC 8032): made, read, signed with. Whoever reads such a file is that participant.

A key file is JSON, `{"public_key", "private_key", "participant"}`: base64 of the 32 raw public bytes and of
the 32-byte seed, and the participant's id once there is one. Beside it, `<key file>.token` holds the session
that `shuji login` opened. Both have mode 0600 and appear whole or not at all: they are written under another
name, flushed, and moved.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_Content = TypeVar("_Content", "Key", "Session")


class KeyFileError(Exception):
    """A key file is missing, is none, or is there already. The text says what to do."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """`private_key` is the seed: it belongs in the file and nowhere else, so `repr` leaves it out."""

    public_key: str
    private_key: str
    participant: str = ""

    @classmethod
    def make(cls) -> Self:
        """A new key from the system's randomness."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> Self:
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(public_key=_base64(public), private_key=_base64(private.private_bytes_raw()))

    def __repr__(self) -> str:
        return f"Key(public_key={self.public_key!r}, participant={self.participant!r})"

    def sign(self, text: str) -> str:
        """Base64 of the Ed25519 signature over the text's UTF-8 bytes."""
        return _base64(self.sign_bytes(text.encode()))

    def sign_bytes(self, raw: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.private_key)).sign(raw)

    def sign_registration(self, uscc: str) -> str:
        """Proof that whoever registers this public key, under this credit code, holds it."""
        return self.sign(f"shuji-register:{self.public_key}:{uscc}")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A login: the token, whose it is, and until when by the venue's clock."""

    token: str
    participant: str
    url: str
    expires_at: str = ""

    def __repr__(self) -> str:
        return f"Session(participant={self.participant!r}, url={self.url!r}, expires_at={self.expires_at!r})"


def password_text(participant: str, password: str) -> str:
    """What is signed by a participant's own key to set its password for the console."""
    return f"shuji-password:{participant}:{hashlib.sha256(password.encode()).hexdigest()}"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


# ---- files


def create(path: Path) -> Key:
    """A new key in a new file; a file that is there already is never overwritten."""
    key = Key.make()
    try:
        _write(path, key, os.link)
    except FileExistsError:
        raise KeyFileError(f"{path} is there already; use it, or choose another name") from None
    return key


def ensure(path: Path) -> Key:
    """The key in this file, made where there is none; of two callers at once both get the same key."""
    try:
        return create(path)
    except KeyFileError:
        return read(path)


def read(path: Path) -> Key:
    """The key in a file; its private half is checked against its public one."""
    key = _decode(path, Key)
    try:
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.private_key, validate=True))
    except (binascii.Error, ValueError) as error:
        raise KeyFileError(f"{path}: private_key is not base64 of 32 bytes") from error
    if Key._of(private).public_key != key.public_key:
        raise KeyFileError(f"{path}: public_key does not belong to private_key")
    return key


def name_participant(path: Path, participant: str) -> None:
    """Note in the key file whose key it is."""
    key = read(path)
    if key.participant != participant:
        _write(path, msgspec.structs.replace(key, participant=participant), os.replace)


def session_path(path: Path) -> Path:
    """Where the session of a key file lies."""
    return path.with_name(f"{path.name}.token")


def keep_session(path: Path, session: Session) -> None:
    _write(session_path(path), session, os.replace)


def read_session(path: Path, url: str) -> Session | None:
    """The session opened with this key at this venue, if any; it may have expired."""
    if not session_path(path).exists():
        return None
    session = _decode(session_path(path), Session)
    return session if session.url == url else None


def _decode(path: Path, shape: type[_Content]) -> _Content:
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        raise KeyFileError(f"there is no key file {path}; make one with: shuji key --out {path}") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} is not a file of `shuji`: {error}") from error


def _write(path: Path, content: Key | Session, place: Callable[[Any, Any], None]) -> None:
    """Mode 0600 from its first byte. `place` is os.link, which refuses a taken name, or os.replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        place(draft, path)
    finally:
        draft.unlink(missing_ok=True)
