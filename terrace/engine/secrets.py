"""Pulumi's passphrase secrets: PBKDF2-SHA256 with 1,000,000 rounds, then AES-256-GCM.

The salt string ``v1:<salt>:v1:<nonce>:<ciphertext>`` stands in the stack file as ``encryptionsalt`` and in the state's
``secrets_providers``. Its second half is the word ``pulumi``, encrypted: it tells a right passphrase from a wrong one.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Callable

from terrace.engine.errors import PassphraseError, StateError

_ROUNDS = 1_000_000
_KEY_BYTES = 32
_SALT_BYTES = 8
_NONCE_BYTES = 12
_CHECK_WORD = "pulumi"


class Crypter:
    """Encrypts and decrypts with one passphrase and salt. Derives the key at first use, once.

    Args:
        salt: The salt string; see the module's docstring.
        passphrase: Gives the passphrase; asked at most once, and only if needed.
        where: The file that the salt came from, for errors.
        state: The file of the state, likewise.
    """

    def __init__(self, salt: str, passphrase: Callable[[], str], where: str, state: str = "") -> None:
        self.salt = salt
        self.state = state
        self._passphrase = passphrase
        self._where = where
        self._lock = threading.Lock()
        self._key: bytes | None = None

    def with_salt(self, salt: str) -> Crypter:
        """This one, or another with the same passphrase for another salt."""
        if salt in ("", self.salt):
            return self
        return Crypter(salt, self._passphrase, self.state or self._where, self.state)

    def unlock(self) -> None:
        """Derive the key and check the passphrase.

        Raises:
            PassphraseError: The passphrase is wrong.
            StateError: The salt isn't one that Pulumi writes.
        """
        with self._lock:
            if self._key is not None:
                return
            raw, check = _split(self.salt, self._where)
            key = _derive(self._passphrase(), raw)
            try:
                right = _decrypt(key, check) == _CHECK_WORD
            except ValueError:
                right = False
            if not right:
                raise PassphraseError(
                    "the passphrase is wrong",
                    where=self._where,
                    fix="set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the stack's own",
                )
            self._key = key

    def ask(self) -> str:
        """Ask for the passphrase now, in the caller's thread."""
        return self._passphrase()

    def try_unlock(self) -> None:
        """`unlock`, in the background: a wrong passphrase is reported by whoever needs the key."""
        with contextlib.suppress(PassphraseError, StateError):
            self.unlock()

    def encrypt(self, text: str) -> str:
        """Encrypt ``text``; the result is ``v1:<nonce>:<ciphertext>``."""
        return _encrypt(self._unlocked(), text)

    def decrypt(self, ciphertext: str, where: str = "") -> str:
        """Decrypt what ``encrypt`` gave, and what stands in the file ``where`` (else in that of the salt).

        Raises:
            StateError: The ciphertext is damaged.
        """
        key = self._unlocked()
        try:
            return _decrypt(key, ciphertext)
        except ValueError as error:
            raise StateError("a secret can't be decrypted: it is damaged", where=where or self._where) from error

    def _unlocked(self) -> bytes:
        if self._key is None:
            self.unlock()
        assert self._key is not None  # noqa: S101 - unlock either sets it or raises
        return self._key


def new_salt(passphrase: str) -> str:
    """Make a salt string for a new stack."""
    salt = os.urandom(_SALT_BYTES)
    return f"v1:{base64.b64encode(salt).decode()}:{_encrypt(_derive(passphrase, salt), _CHECK_WORD)}"


def _split(salt: str, where: str) -> tuple[bytes, str]:
    version, _, rest = salt.partition(":")
    raw, _, check = rest.partition(":")
    if version != "v1" or not check:
        raise StateError("the encryption salt isn't one that this version can read", where=where)
    try:
        return base64.b64decode(raw, validate=True), check
    except ValueError as error:
        raise StateError("the encryption salt is damaged", where=where) from error


@functools.lru_cache(maxsize=8)  # an operation after another in one process needs the same key
def _derive(passphrase: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ROUNDS, _KEY_BYTES)


def _encrypt(key: bytes, text: str) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _decrypt(key: bytes, ciphertext: str) -> str:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    version, _, rest = ciphertext.partition(":")
    nonce, _, sealed = rest.partition(":")
    if version != "v1":
        raise ValueError("unknown version")
    try:
        plain = AESGCM(key).decrypt(
            base64.b64decode(nonce, validate=True), base64.b64decode(sealed, validate=True), None
        )
    except InvalidTag as error:
        raise ValueError("not authentic") from error
    return plain.decode()
