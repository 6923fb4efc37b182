"""The connector's crypto against the published vectors, and what it must refuse."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from hetang.connectors.wecom import crypto
from hetang.connectors.wecom.crypto import CallbackRefused

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "wecom_vectors.json").read_text())["callback"]
NPM = json.loads((Path(__file__).parents[2] / "data" / "wecom_npm_vectors.json").read_text())["vectors"]
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.mark.parametrize("vector", [one for one in VECTORS if one["msg_signature"]], ids=lambda one: one["id"])
def test_signature(vector: dict[str, Any]) -> None:
    found = crypto.signature(vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"])
    assert found == vector["msg_signature"]


@pytest.mark.parametrize(
    "vector", [one for one in VECTORS if one["msg_signature"] and one.get("random16")], ids=lambda one: one["id"]
)
def test_open(vector: dict[str, Any]) -> None:
    signed = (vector["msg_signature"], vector["timestamp"], vector["nonce"])
    clear = crypto.open_message(
        vector["token"],
        vector["encoding_aes_key"],
        vector["receive_id"],
        signed=signed,
        encrypted=vector["encrypt"],
    )
    assert clear == vector["plaintext"]


@pytest.mark.parametrize("vector", [one for one in VECTORS if one.get("random16")], ids=lambda one: one["id"])
def test_seal(vector: dict[str, Any]) -> None:
    sealed = crypto.seal_message(
        vector["encoding_aes_key"], vector["plaintext"], vector["receive_id"], vector["random16"].encode()
    )
    assert sealed == vector["encrypt"]


@pytest.mark.parametrize("vector", NPM, ids=lambda one: one["id"])
def test_agrees_with_the_official_package(vector: dict[str, Any]) -> None:
    """`@wecom/crypto` 1.0.1, recorded once: what it sealed and signed we open, and seal to the same bytes."""
    key, receive_id = vector["encoding_aes_key"], vector["receive_id"]
    signed = (vector["msg_signature"], vector["timestamp"], vector["nonce"])
    found = crypto.open_message(vector["token"], key, receive_id, signed=signed, encrypted=vector["encrypt"])
    assert found == vector["plaintext"]
    drawn = bytes.fromhex(vector["random16"])
    assert crypto.seal_message(key, vector["plaintext"], receive_id, drawn) == vector["encrypt"]


def _open(encrypted: str, *, receive_id: str = "corp", token: str = "t", tamper: str = "") -> str:
    given = crypto.signature(token, "1", "2", encrypted)
    return crypto.open_message("t", KEY, receive_id, signed=(tamper or given, "1", "2"), encrypted=encrypted)


def _raw(clear: bytes) -> str:
    """Encrypt whole blocks as they are, without header or padding of ours."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = base64.b64decode(KEY + "=")
    worker = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(worker.update(clear) + worker.finalize()).decode()


GOOD = crypto.seal_message(KEY, "hello", "corp")
HEAD = b"r" * 16


@pytest.mark.parametrize(
    ("encrypted", "reason"),
    [
        ("", "cipher length"),
        ("not base64!", "base64"),
        (base64.b64encode(base64.b64decode(GOOD)[:-1]).decode(), "cipher length"),
        (_raw(HEAD + b"\0" * 15 + b"\0"), "padding"),
        (_raw(HEAD + b"\0" * 15 + b"\x21"), "padding"),
        (_raw(HEAD + b"\xff\xff\xff\xff" + b"x" * 11 + b"\x01"), "length"),
        (_raw(b"\x20" * 32), "length"),
        (_raw(HEAD + b"\0\0\0\x02" + b"\xff\xfe" + b"corp" + b"\x06" * 6), "encoding"),
        (crypto.seal_message(KEY, "hello", "another"), "receive_id"),
    ],
    ids=range(9),  # sealed messages differ each time, and the workers of a run must agree on the names
)
def test_refused(encrypted: str, reason: str) -> None:
    with pytest.raises(CallbackRefused, match=reason):
        _open(encrypted)


def test_wrong_signature_is_refused_before_decrypting() -> None:
    assert _open(GOOD) == "hello"
    with pytest.raises(CallbackRefused, match="signature"):
        _open(GOOD, tamper="0" * 40)
