"""What a kiosk asks of the centre in a sitting, step by step, and how it reads the answers. Nothing here is on a disk.

An answer that is not what its outcome promises is none: what comes is shaped by the relay's and the centre's word, and
the document alone is proven (.checking).

Source: 000仕3-3, 3-4; docs/PROTOCOL.md, Certificates.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
import trio

from gateway.peers.kiosk.checking import Expected
from gateway.peers.kiosk.devices import Card, Relay
from gateway.peers.kiosk.errors import (
    AnswerUnreadable,
    CardUnreadable,
    CentreRefused,
    ChoiceInvalid,
    DocumentRefused,
    KioskError,
)
from gateway.peers.kiosk.settling import Stand
from gateway.peers.kiosk.sitting import Sitting, es256
from gateway.peers.kiosk.texts import Trouble
from protocol.issuance import (
    DOCUMENT_BYTES_MAX,
    PART_BYTES,
    Applied,
    Apply,
    Authenticate,
    Authenticated,
    Challenge,
    Challenged,
    Fetch,
    Issued,
    Menu,
    MenuQuery,
    Part,
    Statement,
    session_to_sign,
    statement_to_sign,
)
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from protocol.trust import Trust

PARTS_AT_ONCE: Final = 8
NONCE_MARGIN_US: Final = 5_000_000
_T = TypeVar("_T")


class NotNow(KioskError):  # noqa: N818 - named after the fact
    """A trouble that the kiosk itself finds. Fields: trouble."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble = trouble


class Asking:
    """Asks for one kiosk. trusts: the municipalities' bundles by code; kits: versions it takes."""

    def __init__(
        self,
        stand: Stand,
        *,
        relay: Relay,
        trusts: Mapping[str, Trust],
        kits: frozenset[str],
        now_us: Callable[[], int],
    ) -> None:
        self._stand = stand
        self._relay = relay
        self._trusts = trusts
        self._kits = kits
        self._now_us = now_us

    async def sign_with_card(self, sitting: Sitting) -> None:
        """The card signs this session and a fresh nonce. Raises: PinRefused, CardUnreadable; as `apply`."""
        challenge = Challenge(kiosk=self._stand.kiosk)
        challenged = await self._ask(Operation.CHALLENGE, challenge, Outcome.CHALLENGED, Challenged)
        signed = session_to_sign(sitting.session, challenged.nonce)
        sitting.card_signature = await trio.to_thread.run_sync(card_of(sitting).sign, sitting.pin, signed)
        sitting.challenged = challenged
        sitting.signed_at_us = self._now_us()

    async def authenticate(self, sitting: Sitting, code: str) -> tuple[Authenticated, Menu | KioskError]:
        """本人認証 (000仕3-3) for a municipality, and beside it, as neither needs the other, its menu.

        What asking for the menu raised is a value: the application exists all the same. Raises: as `sign_with_card`.
        """
        body = await self._authentication(sitting, code)
        answered: Authenticated | KioskError
        menu: Menu | KioskError = AnswerUnreadable(Operation.MENU)

        async def ask_menu() -> None:
            nonlocal menu
            try:
                menu = await self._menu(sitting, code)
            except KioskError as error:
                menu = error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_menu)
            try:
                answered = await self._ask(Operation.AUTHENTICATE, body, Outcome.AUTHENTICATED, Authenticated)
            except KioskError as error:
                answered = error
                nursery.cancel_scope.cancel()
        if isinstance(answered, KioskError):
            raise answered
        return answered, menu

    async def _authentication(self, sitting: Sitting, code: str) -> Authenticate:
        challenged = sitting.challenged
        if challenged is None or (
            self._now_us() + NONCE_MARGIN_US >= sitting.signed_at_us + challenged.valid_ms * 1000
        ):  # the user took long to choose: the card, still in the reader, signs a new nonce
            await self.sign_with_card(sitting)
            challenged = sitting.challenged
        if challenged is None:
            raise AnswerUnreadable(Operation.CHALLENGE)
        card = card_of(sitting)
        return Authenticate(
            session=sitting.session,
            nonce=challenged.nonce,
            kiosk_certificate=self._stand.certificate,
            kiosk_signature=await self._stand.sign(session_to_sign(sitting.session, challenged.nonce)),
            card_type=card.card_type,
            card_certificate=card.certificate,
            card_signature=sitting.card_signature,
            municipality=code,
        )

    async def _menu(self, sitting: Sitting, code: str) -> Menu:
        query = MenuQuery(municipality=code, card_type=card_of(sitting).card_type)
        menu = await self._ask(Operation.MENU, query, Outcome.MENU, Menu)
        if menu.municipality != code or any(each.fee_yen < 0 or each.copies_max < 1 for each in menu.offers):
            raise AnswerUnreadable(Operation.MENU)
        return menu

    async def apply(self, sitting: Sitting) -> Expected:
        """The application, signed by the session; what its document will be held against.

        Raises: CentreRefused, AnswerUnreadable, RelayAway; NotNow when the fee is not the one agreed to.
        """
        offer = sitting.offer
        if offer is None or sitting.keys is None:
            raise ChoiceInvalid("kind")
        sitting.statement = statement = Statement(
            application=application_of(sitting),
            municipality=menu_of(sitting).municipality,
            kind=offer.kind,
            options=sitting.options,
            copies=sitting.copies,
            asked_at_us=self._now_us(),
        )
        apply = Apply(statement=statement, signature=es256(sitting.keys.sign, statement_to_sign(statement)))
        applied = await self._ask(Operation.APPLY, apply, Outcome.APPLIED, Applied)
        if (applied.fee_yen, applied.copies) != (offer.fee_yen, sitting.copies):
            raise NotNow(Trouble.FEE_CHANGED)  # the user agreed to another sum
        return Expected(
            statement=statement, session=sitting.session, trust=self._trusts[statement.municipality], kits=self._kits
        )

    async def fetch(self, sitting: Sitting, show: Callable[[int, int], None]) -> tuple[Issued, bytes]:
        """Have the certificate made and fetch its sealed document whole. Raises: DocumentRefused; as `apply`."""
        application = application_of(sitting)
        issued = await self._ask(Operation.DOCUMENT, Fetch(application=application), Outcome.ISSUED, Issued)
        if not 0 < issued.size <= DOCUMENT_BYTES_MAX:
            raise DocumentRefused("seal")
        count = -(-issued.size // PART_BYTES)
        parts: list[bytes] = [b""] * count
        waiting = iter(range(count))
        done = [0]
        show(0, count)

        async def fetch() -> None:
            for index in waiting:
                outcome, parts[index] = await self._relay.call(
                    Operation.PART, encode(Part(application=application, index=index))
                )
                if outcome != Outcome.PART:
                    raise CentreRefused(outcome)
                done[0] += 1
                show(done[0], count)

        try:
            async with trio.open_nursery() as nursery:
                for _ in range(min(PARTS_AT_ONCE, count)):
                    nursery.start_soon(fetch)
        except* KioskError as errors:
            raise errors.exceptions[0] from None
        return issued, b"".join(parts)

    async def _ask(self, operation: Operation, body: msgspec.Struct, expected: Outcome, answer: type[_T]) -> _T:
        """Raises: CentreRefused, AnswerUnreadable, RelayAway."""
        outcome, answered = await self._relay.call(operation, encode(body))
        if outcome != expected:
            raise CentreRefused(outcome)
        try:
            return msgspec.msgpack.decode(answered, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise AnswerUnreadable(operation) from None


def application_of(sitting: Sitting) -> bytes:
    """The application\'s id. Raises: ChoiceInvalid before there is one."""
    if sitting.application is None:
        raise ChoiceInvalid("application")
    return sitting.application


def menu_of(sitting: Sitting) -> Menu:
    """The menu. Raises: ChoiceInvalid before there is one."""
    if sitting.menu is None:
        raise ChoiceInvalid("menu")
    return sitting.menu


def card_of(sitting: Sitting) -> Card:
    """The card. Raises: CardUnreadable when there is none."""
    if sitting.card is None:
        raise CardUnreadable("the card is gone")
    return sitting.card
