"""`sekisho frame inspect`: explains captured bytes of a line, or a file of the protocol; believes none of it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.cli.receipt import jst, printable
from protocol import limits
from protocol.checkpoint import NoteError, parse_note
from protocol.envelope import unpack
from protocol.errors import RemoteProtocolError
from protocol.frames import Frame, FrameReader, FrameType
from protocol.handshake import Hello, Welcome
from protocol.keys import KeyHistory, KeysError, read_signed_history
from protocol.messages import Credit, Drain, Fault, Notice, RequestBatch, ResponseBatch
from protocol.receipt import ReceiptError, decode_receipt
from protocol.session import Opener
from protocol.trust import TrustError, decode_trust

_INPUT_BYTES_MAX: Final = 16 << 20
_FRAMES_SHOWN_MAX: Final = 1_000
_CLEAR: Final = frozenset({FrameType.HELLO, FrameType.WELCOME})
_CONTENTS: Final[dict[FrameType, type[msgspec.Struct]]] = {
    FrameType.HELLO: Hello,
    FrameType.WELCOME: Welcome,
    FrameType.REQUEST: RequestBatch,
    FrameType.RESPONSE: ResponseBatch,
    FrameType.NOTICE: Notice,
    FrameType.CREDIT: Credit,
    FrameType.DRAIN: Drain,
    FrameType.FAULT: Fault,
}
_ENVELOPED: Final = frozenset({FrameType.HELLO, FrameType.WELCOME, FrameType.REQUEST})


def _read(file: str) -> bytes:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_INPUT_BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(_INPUT_BYTES_MAX + 1)
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from error
    if len(data) > _INPUT_BYTES_MAX:
        raise click.ClickException(f"{file} is longer than {_INPUT_BYTES_MAX} bytes; cut it")
    try:
        return bytes.fromhex(data.decode("ascii"))  # hex as people paste it; white space is skipped
    except ValueError:
        return data


def recognise(data: bytes) -> str | None:
    """What a file of the protocol is, or None for anything else."""
    try:
        receipt = decode_receipt(data)
    except ReceiptError:
        pass
    else:
        parts = [name for name in ("opening", "finality") if getattr(receipt, name) is not None]
        return f"a receipt: proof{''.join(' + ' + part for part in parts)}; see `sekisho receipt verify`"
    try:
        trust = decode_trust(data)
    except TrustError:
        pass
    else:
        return (
            f"a trust bundle of {printable(trust.centre)} ({printable(trust.role)}, {printable(trust.environment)}): "
            f"{len(trust.history.records)} keys, history signed by its own root"
        )
    try:
        history = KeyHistory.decode(read_signed_history(data).history)
    except KeysError:
        pass
    else:
        return (
            f"a signed key history of {printable(history.owner)}, version {history.version}, "
            f"{len(history.records)} keys; its signature was not checked"
        )
    try:
        note = parse_note(data.decode())
    except (NoteError, UnicodeDecodeError):
        return None
    return (
        f"a checkpoint note of {note.checkpoint.origin}, size {note.checkpoint.size}, {jst(note.checkpoint.at_us)}, "
        f"{len(note.signatures)} signatures; none was checked"
    )


def _describe(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 65 else f"{len(value)} bytes {value[:16].hex()}..."
    if isinstance(value, str):
        return repr(printable(value))
    if isinstance(value, list):
        return f"{len(value)} [{', '.join(_describe(item) for item in value[:4])}{', ...' if len(value) > 4 else ''}]"
    if isinstance(value, msgspec.Struct):
        return f"({', '.join(f'{name}={_describe(getattr(value, name))}' for name in value.__struct_fields__)})"
    return repr(value)


def _explain_content(frame: Frame, content: bytes) -> Iterator[str]:
    kind = frame.type
    if kind in _ENVELOPED:
        try:
            envelope = unpack(content)
        except RemoteProtocolError as error:
            yield f"envelope unreadable: {error}"
            return
        yield (
            f"algorithm {envelope.algorithm.name}, key {envelope.key_id!r}, "
            f"signature {len(envelope.signature)} bytes (not checked), body {len(envelope.body)} bytes"
        )
        content = envelope.body
    shape = _CONTENTS.get(kind)
    if shape is None:
        yield f"token {_describe(content)}"
        return
    try:
        message = msgspec.msgpack.decode(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield f"content unreadable: {printable(str(error))}"
        return
    for name in message.__struct_fields__:
        yield f"{name}: {_describe(getattr(message, name))}"


def explain(frame: Frame, opener: Opener | None) -> Iterator[str]:
    """Lines about one frame. Raises: RemoteProtocolError(SEAL_BROKEN) when the key does not open it."""
    if frame.type in _CLEAR:
        yield from _explain_content(frame, frame.payload)
        return
    if frame.type is FrameType.FAULT:
        try:
            fault = msgspec.msgpack.decode(frame.payload, type=Fault)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # a sealed one
        else:
            yield f"in the clear: code {fault.code}, {_describe(fault.detail)}"
            return
    if opener is None:
        yield f"sealed, {max(0, len(frame.payload) - limits.SEAL_OVERHEAD_BYTES)} bytes inside"
        return
    content = opener.open(frame)
    yield f"opened, {len(content)} bytes"
    yield from _explain_content(frame, content)


@click.group()
def command() -> None:
    """Explain captured bytes of a line."""


@command.command()
@click.argument("file")
@click.option("--key", help="One direction's session key, 64 hex digits; the capture begins with its first frame.")
def inspect(file: str, key: str | None) -> None:
    """Explain FILE ("-": standard input; binary or hex) frame by frame; exit 1 where the stream is malformed."""
    opener = None
    if key is not None:
        try:
            raw = bytes.fromhex(key)
        except ValueError:
            raw = b""
        if len(raw) != 32:
            raise click.ClickException("--key takes 64 hex digits: one direction's AES-256 key")
        opener = Opener(raw)
    data = _read(file)
    known = recognise(data)
    if known is not None:
        click.echo(known)
        return
    reader = FrameReader(limits.FRAME_BYTES_MAX)
    reader.feed(data)
    offset = count = 0
    try:
        while (frame := reader.next_frame()) is not None:
            if count < _FRAMES_SHOWN_MAX:
                size = len(frame.header) + len(frame.payload)
                click.echo(f"@{offset} {frame.type.name} (type {int(frame.type)}), {size} bytes")
                for line in explain(frame, opener):
                    click.echo(f"    {line}")
            count += 1
            offset = len(data) - reader.buffered_bytes
    except RemoteProtocolError as error:
        raise click.ClickException(f"the stream is malformed at offset {offset}: {error}") from error
    if count > _FRAMES_SHOWN_MAX:
        click.echo(f"... and {count - _FRAMES_SHOWN_MAX} frames more")
    if reader.buffered_bytes:
        raise click.ClickException(
            f"the stream is malformed at offset {offset}: it ends inside a frame, {reader.buffered_bytes} bytes of it"
        )
    if not count:
        raise click.ClickException(f"{file} is empty; give captured bytes")
