-- Reading the ledger by the period of settlement: entries come nearly in the order of their time, so a small index over
-- ranges of pages finds a month, and the few corrections are found by one of their own.

CREATE INDEX entry_at ON ledger.entry USING brin (at);
CREATE INDEX entry_deposited ON ledger.entry USING brin (deposited_at_us);
CREATE INDEX entry_correction ON ledger.entry (at) WHERE transition >= 11;
