"""A whole centre whose keys lie in a PKCS#11 token: made by the command, served by real processes, proven offline."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.setup import SetupError, TokenPlace, make_centre
from hsm.opening import open_keystore, passphrase_from_file
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.receipt import verify_receipt
from protocol.trust import decode_trust
from tests.kit.centre import RESIDENTS, WORKERS, Load, Made, by_code, standing
from tests.kit.components import PIN
from tests.kit.ledger_proof import prove
from tests.kit.softhsm import Softhsm

pytestmark = pytest.mark.token
LABEL = "centre of its own"


@pytest.fixture(scope="module")
def place(softhsm: Softhsm, tmp_path_factory: pytest.TempPathFactory) -> TokenPlace:
    """An initialised, empty token, and the file with its PIN."""
    softhsm.make_token(LABEL)
    pin_file = tmp_path_factory.mktemp("pin") / "pin"
    pin_file.touch(mode=0o600)
    pin_file.write_text(PIN + "\n")
    return TokenPlace(uri=f"pkcs11:token={LABEL.replace(' ', '%20')};module-path={softhsm.proxy}", pin_file=pin_file)


def sekisho(*arguments: object) -> str:
    """What the command says, once it ended well."""
    run = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def centre(place: TokenPlace) -> Iterator[Made]:
    with tempfile.TemporaryDirectory(prefix="sekisho-token-") as directory:
        data = Path(directory) / "centre"
        sekisho(
            *("init", "--data", data, "--port", 0, "--ops-port", 0, "--workers", WORKERS, "--residents", RESIDENTS),
            *("--keystore", place.uri, "--passphrase-file", place.pin_file),
        )
        with standing(data) as made:
            yield made


@pytest.mark.trio
async def test_a_centre_on_a_token_answers_and_its_ledger_and_receipts_hold(centre: Made) -> None:
    async with centre.gateway() as running:
        trust = centre.dialling(running).trust
        async with centre.line(running) as line:
            result = await line.ask(Operation.INQUIRE_BY_CODE, by_code())
            assert result.outcome == Outcome.EXACT
            receipt = result.receipt()
            assert receipt is not None
            assert verify_receipt(receipt, trust).opened
            async with Load(line).running() as load:
                await load.answered(50)
    load.asked.add(result.request.request_id)
    load.results[result.request.request_id] = result
    await prove(centre, trust, asked=load.asked, results=load.results)
    sekisho("ledger", "verify", "--data", centre.data)  # ends badly when anything does not fit


def test_every_key_of_the_centre_is_in_the_token_and_none_in_a_file(centre: Made, place: TokenPlace) -> None:
    assert not list(centre.data.glob("keystore*"))
    assert not (centre.data / "passphrase").exists()
    handed_out = decode_trust((centre.data / "trust.bundle").read_bytes()).history.records
    store = open_keystore(place.uri, lambda: passphrase_from_file(place.pin_file))
    try:
        assert list(store.keys()) == handed_out
        assert {record.purpose for record in handed_out} == {
            "history", "line", "block", "checkpoint", "seal", "invoice",
        }  # fmt: skip
    finally:
        store.close()


def _make(data: Path, token: TokenPlace) -> None:
    make_centre(
        data,
        port=0,
        ops_port=0,
        workers=1,
        residents=RESIDENTS,
        say=lambda _: None,
        progress=lambda _done, _of: None,
        token=token,
    )


def test_a_token_of_another_owner_is_not_taken(softhsm: Softhsm, place: TokenPlace, tmp_path: Path) -> None:
    softhsm.make_token("of another")
    softhsm.create("of another", owner="ministry").close()
    token = TokenPlace(uri=softhsm.uri("of another"), pin_file=place.pin_file)
    with pytest.raises(SetupError, match="holds keys of ministry"):
        _make(tmp_path / "centre", token)


def test_a_file_is_no_token(tmp_path: Path, place: TokenPlace) -> None:
    token = TokenPlace(uri=f"software:{tmp_path / 'keys'}", pin_file=place.pin_file)
    with pytest.raises(SetupError, match="not a token"):
        _make(tmp_path / "centre", token)
