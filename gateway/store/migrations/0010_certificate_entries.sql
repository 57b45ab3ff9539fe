-- Entries of a certificate centre: their delivery in the projection, and the claims of an application's transitions.

-- All null for an inquiry's entry, and for one that concerns no application (protocol.ledger.Delivery). The deposit's time
-- is microseconds since 1970 UTC, 0 where none is; the store's business day is kept as it was said, as the bytes have it.
ALTER TABLE ledger.entry
    ADD COLUMN application uuid,
    ADD COLUMN transition smallint,
    ADD COLUMN copies int,
    ADD COLUMN deposited_at_us bigint,
    ADD COLUMN store_day text,
    ADD COLUMN store text,
    ADD COLUMN kiosk text,
    ADD CONSTRAINT entry_delivery_whole
        CHECK (num_nulls(application, transition, copies, deposited_at_us, store_day, store, kiosk) IN (0, 7));
CREATE INDEX entry_application ON ledger.entry (application) WHERE application IS NOT NULL;

-- Turns from 101 are transitions of an application (protocol.application.claim_turn), each once.
ALTER TABLE ledger.claim DROP CONSTRAINT claim_turn_check;
ALTER TABLE ledger.claim ADD CONSTRAINT claim_turn_check CHECK (turn BETWEEN -1 AND 8 OR turn BETWEEN 101 AND 127);
