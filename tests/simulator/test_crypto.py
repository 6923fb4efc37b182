"""The simulator's own crypto against the published vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetang.simulator import crypto

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "wecom_vectors.json").read_text())["callback"]
NPM = json.loads((Path(__file__).parents[1] / "data" / "wecom_npm_vectors.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", [one for one in VECTORS if one["msg_signature"]], ids=lambda one: one["id"])
def test_signature(vector: dict[str, Any]) -> None:
    found = crypto.sign(vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"])
    assert found == vector["msg_signature"]


@pytest.mark.parametrize("vector", [one for one in VECTORS if one.get("random16")], ids=lambda one: one["id"])
def test_cipher_both_ways(vector: dict[str, Any]) -> None:
    key = vector["encoding_aes_key"]
    assert crypto.decrypt(key, vector["encrypt"]) == (vector["plaintext"], vector["receive_id"])
    random16 = vector["random16"].encode()
    assert crypto.encrypt(key, vector["plaintext"], vector["receive_id"], random16) == vector["encrypt"]


@pytest.mark.parametrize("vector", NPM, ids=lambda one: one["id"])
def test_agrees_with_the_official_package(vector: dict[str, Any]) -> None:
    """`@wecom/crypto` 1.0.1, recorded once."""
    key, receive_id = vector["encoding_aes_key"], vector["receive_id"]
    signature = crypto.sign(vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"])
    assert signature == vector["msg_signature"]
    assert crypto.decrypt(key, vector["encrypt"]) == (vector["plaintext"], receive_id)
    drawn = bytes.fromhex(vector["random16"])
    assert crypto.encrypt(key, vector["plaintext"], receive_id, drawn) == vector["encrypt"]
