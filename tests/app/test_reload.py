"""SIGHUP: certificates and revocation lists anew, without dropping a line."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import trio
from cryptography import x509

from certs.authority import DevelopmentAuthority
from certs.contexts import LineFiles
from certs.material import TlsMaterial
from certs.names import LineName
from certs.profiles import LINE
from gateway.app.supervisor import Running
from gateway.line.dial import LineClient, LineError, open_line
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.kit.centre import Made, by_code, refusal


def _second_certificate(made: Made, directory: Path) -> tuple[LineFiles, int]:
    shutil.copytree(made.data / "ministry" / "tls", directory)
    authority = DevelopmentAuthority.open(made.data / "pki")
    issued = authority.issue(LINE, LineName("mlit", "line-1"), now=datetime.now(UTC))
    (directory / "certificate.pem").write_bytes(issued.certificate_pem)
    (directory / "key.pem").write_bytes(issued.key_pem)
    serial = x509.load_pem_x509_certificates(issued.certificate_pem)[0].serial_number
    return LineFiles.in_directory(directory), serial


def _revoke(made: Made, serial: int) -> None:
    authority = DevelopmentAuthority.open(made.data / "pki")
    authority.revoke(serial, now=datetime.now(UTC))
    written = authority.write_crl(now=datetime.now(UTC), days=30)
    fresh = made.data / "tls" / "crl.new"
    fresh.write_bytes(written)
    fresh.rename(made.data / "tls" / "crl.pem")


@asynccontextmanager
async def _line_of(made: Made, running: Running, files: LineFiles) -> AsyncIterator[LineClient]:
    dialling = msgspec.structs.replace(made.dialling(running), files=files)
    material = TlsMaterial(files, now=datetime.now(UTC))
    async with open_line(dialling.target, material=material, trust=dialling.trust, sign=dialling.sign) as line:
        yield line


@pytest.mark.trio
async def test_a_reload_takes_a_revocation_closes_that_line_and_drops_no_other(made: Made, tmp_path: Path) -> None:
    files, serial = _second_certificate(made, tmp_path / "second")
    async with made.gateway() as gateway:
        pids = dict(gateway.pids)
        async with made.line(gateway) as untouched, _line_of(made, gateway, files) as revoked:
            await revoked.wait_open(20, all_slots=True)
            sessions = [id(session) for session in untouched._sessions.values()]
            _revoke(made, serial)
            os.kill(os.getpid(), signal.SIGHUP)
            with trio.fail_after(20):
                while revoked.open_slots:
                    await revoked.wait_notice()
            assert await _refused(made, gateway, files)
            with pytest.raises(LineError, match="REVOKED"):
                await revoked.ask(Operation.INQUIRE_BY_CODE, by_code(), timeout_s=1)
            async with made.line(gateway) as fresh:
                for line in (untouched, fresh):
                    result = await line.ask(Operation.INQUIRE_BY_CODE, by_code())
                    assert result.outcome == Outcome.EXACT
            assert [id(session) for session in untouched._sessions.values()] == sessions
        assert gateway.restarts == 0
        assert gateway.pids == pids


async def _refused(made: Made, gateway: Running, files: LineFiles) -> bool:
    """Whether no worker takes a new line with these files."""
    for _ in range(6):  # a connection falls to either worker
        async with _line_of(made, gateway, files) as line:
            if await refusal(line) is None:
                return False
            assert "REVOKED" in str(line.refused)
    return True
