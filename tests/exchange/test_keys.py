"""Key files: whole or absent, nobody else's to read, and what they sign is what Ed25519 verifies."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from exchange import keys


def verify(public_key: str, signature: str, text: str) -> None:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
    public.verify(base64.b64decode(signature), text.encode())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_key_is_for_its_owner_only_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "merchant.key"
    key = keys.create(path)
    assert mode_of(path) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["merchant.key"]
    assert keys.read(path) == key
    raw = msgspec.json.decode(path.read_bytes())
    assert len(base64.b64decode(raw["public_key"])) == len(base64.b64decode(raw["private_key"])) == 32
    assert raw["participant"] == ""


def test_a_signature_verifies_and_another_text_does_not(tmp_path: Path) -> None:
    key = keys.create(tmp_path / "k")
    signature = key.sign("挑战 challenge")
    verify(key.public_key, signature, "挑战 challenge")
    with pytest.raises(InvalidSignature):
        verify(key.public_key, signature, "another challenge")
    verify(key.public_key, key.sign_registration("91460000"), f"shuji-register:{key.public_key}:91460000")


def test_the_vector_of_the_standard() -> None:
    """RFC 8032, 7.1, TEST 2."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    key = keys.Key(public_key=base64.b64encode(public).decode(), private_key=base64.b64encode(seed).decode())
    assert base64.b64decode(key.sign("r")).hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    first = keys.create(tmp_path / "k")
    with pytest.raises(keys.KeyFileError, match="there already"):
        keys.create(tmp_path / "k")
    assert keys.read(tmp_path / "k") == first
    assert keys.ensure(tmp_path / "k") == first
    assert len(list(tmp_path.iterdir())) == 1


def test_several_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys.ensure(tmp_path / "k"), range(32)))
    assert made == [made[0]] * 32


def test_the_participant_is_noted_once_known(tmp_path: Path) -> None:
    path = tmp_path / "k"
    key = keys.create(path)
    keys.name_participant(path, "P7")
    assert keys.read(path) == msgspec.structs.replace(key, participant="P7")
    assert mode_of(path) == 0o600


def test_a_session_lies_beside_its_key_and_belongs_to_one_venue(tmp_path: Path) -> None:
    path = tmp_path / "k"
    keys.create(path)
    assert keys.read_session(path, "http://one") is None
    session = keys.Session(token="t", participant="P1", url="http://one")
    keys.keep_session(path, session)
    assert mode_of(tmp_path / "k.token") == 0o600
    assert keys.read_session(path, "http://one") == session
    assert keys.read_session(path, "http://two") is None


def test_secrets_do_not_show() -> None:
    key = keys.Key.make()
    assert key.private_key not in repr(key)
    assert "hush" not in repr(keys.Session(token="hush", participant="P1", url="u"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a file of"),
        (b"\xff\xfe", "not a file of"),
        (b'{"public_key":"a"}', "private_key"),
        (b'{"public_key":"a","private_key":"***"}', "not base64"),
        (b'{"public_key":"a","private_key":"AAAA"}', "not base64 of 32 bytes"),
        (b'{"public_key":"a","private_key":"' + base64.b64encode(bytes(32)) + b'"}', "does not belong"),
    ],
)
def test_what_is_no_key_file_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(keys.KeyFileError, match=said):
        keys.read(tmp_path / "k")


def test_a_missing_key_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(keys.KeyFileError, match="shuji key --out"):
        keys.read(tmp_path / "none")
