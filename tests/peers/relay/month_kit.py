"""A synthetic month on both sides: notices in a relay's store, and the entries that a centre makes of them."""

import hashlib
import io
from contextlib import contextmanager
from functools import partial

from gateway.peers.relay import outbox, registry
from gateway.peers.relay.histories import day_of
from gateway.settlement.disclosing import rows
from gateway.settlement.periods import month
from gateway.settlement.statements import add_up
from gateway.settlement.windows import Window
from gateway.store.settlement import Prior
from protocol import issuance
from protocol.application import Transition
from protocol.disclosure import Disclosure, pack_row
from protocol.messages import encode
from tests.peers.relay.kit import NOW_US, OPERATOR, STORES, kiosk, made_store
from tests.settlement.building import COMMISSION, entry

PARTIES = {"121002": "chiba", "162027": "takaoka"}
MADE_US = NOW_US + 30 * 86_400_000_000
NOVEMBER = month(2026, 11)


class Month:
    """Business at one relay. `entries`: what the centre recorded of it, in order, each in a block of its own."""

    def __init__(self, store):
        self.store = store
        self.entries = []
        self._count = 0
        self._stood = {}

    def sale(self, *, at_us, copies=1, fee=300, city="121002", kind="juminhyo", name="kiosk-1", **how):
        """A completion; its application's id."""
        application = (self._next() << 64).to_bytes(16, "big")
        registry.own(self.store, application, kiosk=name, now_us=NOW_US)
        registry.applied(self.store, application, municipality=city, kind=kind, copies=copies, fee_yen=fee)
        self._stood[application] = {
            "name": name, "fee": fee, "copies": 0, "yen": 0, "at_us": 0, "turn": 0,
            "cell": {"party": OPERATOR, "counterparty": PARTIES[city], "matter": kind, "store": STORES[name]},
        }  # fmt: skip
        notice = issuance.Complete(application, copies, at_us, day_of(at_us), STORES[name], "slip-1")
        self._done(notice, Transition.COMPLETED, copies, at_us, **how)
        return application

    def correct(self, application, *, copies, at_us, **how):
        """A correction."""
        stood = self._stood[application]
        stood["turn"] += 1
        notice = issuance.Correct(
            application, stood["turn"], copies, at_us, day_of(at_us), int(issuance.Ground.ENTRY_ERROR)
        )
        self._done(notice, Transition.CORRECTED_1 + stood["turn"] - 1, copies, at_us, **how)

    def void(self, application, **how):
        """A refund of all copies."""
        stood = self._stood[application]
        notice = issuance.Void(
            application, int(issuance.Ground.MISPRINT), NOW_US, day_of(NOW_US), STORES[stood["name"]], "slip-9"
        )
        self._done(notice, Transition.VOIDED, 0, stood["at_us"], **how)

    def alter(self, application, **fields):
        """Let the centre have other fields in all entries of an application."""
        self.entries = [
            each._replace(**{name: change(getattr(each, name)) for name, change in fields.items()})
            if each.application == application
            else each
            for each in self.entries
        ]

    def lose(self, application):
        """Let the centre have nothing of an application."""
        self.entries = [each for each in self.entries if each.application != application]

    def stranger(self, *, at_us, **cell):
        """Let the centre have what no relay sent."""
        n = self._next()
        where = {"party": OPERATOR, "counterparty": "chiba", "matter": "juminhyo", "store": "store-1", **cell}
        made = entry(n, height=n, application=(n << 64).to_bytes(16, "big"), deposited_at_us=at_us, **where)
        self.entries.append(made)
        return made.application

    def disclosure(self, window=None, **issued):
        """What the centre discloses, and its file of rows."""
        window = window or Window(NOVEMBER)
        statement = add_up(self.entries, window).of(party=OPERATOR)
        packed = [pack_row(row) for row in rows(self.entries, statement, window)]
        data = b"".join(packed)
        named = {"issuer": "centre", "role": "certificate", "environment": "test", **issued}
        return Disclosure(
            **named, party=OPERATOR, period=window.period.text,
            made_us=MADE_US, cells=statement.cells, net=statement.net, rows=len(packed),
            rows_digest=hashlib.sha256(data).digest(),
        ), io.BytesIO(data)  # fmt: skip

    def _next(self):
        self._count += 1
        return self._count

    def _done(self, notice, transition, copies, at_us, *, state=outbox.DELIVERED, recorded=True):
        stood = self._stood[notice.application]
        n = self._next()
        request_id = n.to_bytes(16, "big")
        with self.store.transaction():
            taken = partial(outbox.take_over, asked=encode(notice), request_id=request_id, now_us=NOW_US)
            taken(self.store, notice, caller=kiosk(stood["name"]))
            self.store.run(
                "UPDATE outbox SET state = ?, outcome = 1, done_us = ? WHERE request_id = ?", state, NOW_US, request_id
            )
        if not recorded:
            return
        difference = copies - stood["copies"]
        money = (stood["copies"], stood["yen"], stood["copies"] * COMMISSION)
        prior = Prior(stood["at_us"], *money) if transition >= Transition.CORRECTED_1 else None
        self.entries.append(
            entry(
                n,
                height=n,
                request_id=request_id,
                application=notice.application,
                transition=int(transition),
                copies=difference,
                yen=difference * stood["fee"],
                commission=difference * COMMISSION,
                deposited_at_us=at_us,
                store_day=day_of(at_us),
                prior=prior,
                **stood["cell"],
            )
        )
        stood.update(copies=copies, yen=copies * stood["fee"], at_us=at_us)


@contextmanager
def made_month(directory):
    """A relay with two kiosks at two stores and no business yet."""
    with made_store(directory) as store:
        yield Month(store)
