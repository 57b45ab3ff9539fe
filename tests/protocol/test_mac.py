"""The MAC is HMAC-SHA256, checked by the standard library's own."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from protocol.mac import KEYS_KEPT, mac


@given(key=st.binary(min_size=1, max_size=200), message=st.binary(max_size=300))
def test_it_is_the_hmac_of_rfc_2104(key: bytes, message: bytes) -> None:
    assert mac(key, message) == hmac.digest(key, message, "sha256")
    assert mac(key, message) == hmac.digest(key, message, "sha256")  # and again, from what was kept


def test_a_message_leaves_nothing_behind_for_the_next_and_keys_do_not_mix() -> None:
    keys = [bytes([number]) * 32 for number in range(KEYS_KEPT * 2)]
    for _ in range(2):
        for key in keys:
            assert mac(key, b"one") == hmac.digest(key, b"one", "sha256")
            assert mac(key, b"two") == hmac.digest(key, b"two", "sha256")
