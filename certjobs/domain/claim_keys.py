"""The public keys that an application publishes: JSON Web Keys, one or a set (RFC 7517, RFC 7518 section 6.3)."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any

EXPONENT = 65537
FEWEST_BITS, MOST_BITS = 2048, 8192
MOST_ID = 200


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA key that signs RS256; ``modulus`` as an unsigned number, the highest byte first."""

    key_id: str
    modulus: bytes


def read_keys(text: str) -> list[PublicKey]:
    """Return the RSA keys for signatures in a JWK or a JWKS; at least one.

    Raises ValueError, which says what is wrong and repeats nothing of the file, where there is none, or one that has a
    private half, no id, or is not as the database could check it.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        msg = "the file is not JSON"
        raise ValueError(msg) from None
    keys = found.get("keys", [found]) if isinstance(found, dict) else None
    if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
        msg = "the file holds no JSON Web Key and no set of them"
        raise ValueError(msg)
    chosen = [_key(each) for each in keys if each.get("kty") == "RSA" and each.get("use", "sig") == "sig"]
    if not chosen:
        msg = "the file holds no RSA key for signatures"
        raise ValueError(msg)
    if len({each.key_id for each in chosen}) < len(chosen):
        msg = "two keys have the same id"
        raise ValueError(msg)
    return chosen


def _key(given: dict[str, Any]) -> PublicKey:
    if "d" in given:
        msg = "it holds a private key, which is for the application alone: make a new pair, and give its public half"
        raise ValueError(msg)
    key_id = given.get("kid")
    if not isinstance(key_id, str) or not key_id.isprintable() or not 0 < len(key_id) <= MOST_ID:
        msg = "a key has no id (kid)"
        raise ValueError(msg)
    if given.get("alg", "RS256") != "RS256":
        msg = "a key is not for RS256"
        raise ValueError(msg)
    modulus = _number(given.get("n"))
    if int.from_bytes(_number(given.get("e"))) != EXPONENT:
        msg = f"a key's exponent is not {EXPONENT}"
        raise ValueError(msg)
    bits = int.from_bytes(modulus).bit_length()
    if bits % 8 or not FEWEST_BITS <= bits <= MOST_BITS:
        msg = f"a key has {bits} bits; it must have {FEWEST_BITS} to {MOST_BITS}, in whole bytes"
        raise ValueError(msg)
    return PublicKey(key_id, modulus)


def _number(encoded: object) -> bytes:
    try:
        return urlsafe_b64decode(str(encoded or "") + "==").lstrip(b"\0")
    except (binascii.Error, ValueError):
        msg = "a key's numbers cannot be read"
        raise ValueError(msg) from None
