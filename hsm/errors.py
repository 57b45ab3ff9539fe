"""What a key store can answer with. `retryable`: the same call may succeed later."""

from typing import ClassVar

# ruff: noqa: N818 - named after the fact, as callers read them


class HsmError(Exception):
    """Root of the key stores' errors; `code` is stable, and no error carries key material."""

    code: ClassVar[str] = "hsm"
    retryable: ClassVar[bool] = False


class KeyUnknown(HsmError):
    """No key of this id, or none of this purpose that is valid now."""

    code = "key-unknown"

    def __init__(self, what: str) -> None:
        super().__init__(f"the key store has no key {what}; see `sekisho hsm list`")
        self.what = what


class KeyExists(HsmError):
    """The id is taken."""

    code = "key-exists"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key id {key_id} is taken; choose another")
        self.key_id = key_id


class RootNotRotatable(HsmError):
    """A second root: peers hold the first one on paper."""

    code = "root-not-rotatable"

    def __init__(self) -> None:
        super().__init__(
            "the history key is the root that peers were given; another root is another `sekisho hsm init`"
        )


class AlgorithmUnsupported(HsmError):
    """This store cannot compute that."""

    code = "algorithm-unsupported"

    def __init__(self, algorithm: str, store: str) -> None:
        super().__init__(f"{store} cannot use {algorithm}; its capabilities say what it can")
        self.algorithm = algorithm
        self.store = store


class HsmUnavailable(HsmError):
    """The device does not answer now."""

    code = "hsm-unavailable"
    retryable = True

    def __init__(self, why: str) -> None:
        super().__init__(f"the HSM is not available: {why}")
        self.why = why


class PassphraseWrong(HsmError):
    """The passphrase or PIN does not open the store."""

    code = "passphrase-wrong"

    def __init__(self, where: str) -> None:
        super().__init__(f"the passphrase does not open {where} (or its sealed part is damaged)")
        self.where = where


class PassphraseUnreadable(HsmError):
    """The file that should hold the passphrase."""

    code = "passphrase-unreadable"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where


class StoreExists(HsmError):
    """A store is there already; it is never overwritten."""

    code = "store-exists"

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} exists already and is left as it is")
        self.where = where


class StoreAbsent(HsmError):
    """There is no store at this place."""

    code = "store-absent"

    def __init__(self, where: str) -> None:
        super().__init__(f"there is no key store at {where}; make one with `sekisho hsm init`")
        self.where = where


class StoreCorrupt(HsmError):
    """The store's file or objects are damaged."""

    code = "store-corrupt"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where} is damaged: {why}")
        self.where = where


class UnwrapRefused(HsmError):
    """A wrapped key that is damaged, or was wrapped for another place."""

    code = "unwrap-refused"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"a secret wrapped under {key_id} does not open: damaged, or meant for another place")
        self.key_id = key_id
