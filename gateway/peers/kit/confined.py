"""Judging a file of unknown origin in a process of its own, with limits on memory, time and what it may write.

A PDF library and picture decoders meet whatever somebody sends. The child process has MEMORY_BYTES of address space,
SECONDS of processor time, writes no file and leaves no core dump; when it dies or stalls, the file is refused.
"""

import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.peers.kit.verdict import Ground, Verdict, refused, verify_file
from protocol.trust import Trust, decode_trust, encode_trust

MEMORY_BYTES: Final = 1 << 30
SECONDS: Final = 15
_WALL_SECONDS: Final = 40


class _Case(msgspec.Struct, array_like=True):
    data: bytes
    bundles: list[bytes]
    owners: dict[str, str]


def verify_confined(data: bytes, *, trusts: Sequence[Trust], owners: Mapping[str, str] | None = None) -> Verdict:
    """As verdict.verify_file, within limits; about half a second more. Raises nothing."""
    case = _Case(data, [encode_trust(trust) for trust in trusts], dict(owners or {}))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gateway.peers.kit.confined"],
            input=msgspec.msgpack.encode(case),
            capture_output=True,
            timeout=_WALL_SECONDS,
            check=True,
        )
        return msgspec.msgpack.decode(done.stdout, type=Verdict)
    except subprocess.TimeoutExpired:
        return refused(Ground.NOT_EXAMINED, "time / 時間")
    except (subprocess.CalledProcessError, msgspec.DecodeError):
        return refused(Ground.NOT_EXAMINED, "memory or a broken file / メモリーまたは壊れたファイル")


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    case = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Case)
    trusts = [decode_trust(bundle) for bundle in case.bundles]
    sys.stdout.buffer.write(msgspec.msgpack.encode(verify_file(case.data, trusts=trusts, owners=case.owners)))


if __name__ == "__main__":
    _main()
