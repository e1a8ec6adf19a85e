"""Signatures as Standard Webhooks has them: HMAC-SHA256 over ``id.timestamp.body``, by a secret that both sides have."""

import base64
import hashlib
import hmac

_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: ``whsec_`` and base64, or the text itself. Raises ValueError."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise ValueError(f"a secret begins with {_PREFIX} but is no base64 after it") from error


def signature(key: bytes, message: str, stamp: str, body: bytes) -> str:
    """What stands in ``webhook-signature`` for this message. ``stamp``: seconds since 1970."""
    signed = f"{message}.{stamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
