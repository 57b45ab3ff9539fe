-- Settlement over the lines: parts of documents by slices, the acts of operators, and what municipalities have and claim.

-- A part is read in slices, from its middle: kept as it is, a slice costs its own bytes only.
ALTER TABLE settlement.document_part ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX act_party ON settlement.act (party, period);
CREATE INDEX document_period ON settlement.document (period);

-- Documents that are whole at a municipality, with their digests checked there.
CREATE TABLE settlement.brought (
    document bytea PRIMARY KEY REFERENCES settlement.document,
    brought_us bigint NOT NULL
);
-- Parts of an operator's long result until its RECONCILE comes: of one result an operator, the last that was begun.
CREATE TABLE settlement.held_part (
    party text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    number int NOT NULL CHECK (number >= 0),
    data bytea NOT NULL,
    PRIMARY KEY (party, digest, number)
);
-- Claims (請求書) as municipalities sent them, signed. Whether one is right is for a person to decide, who writes the act.
CREATE TABLE settlement.received_claim (
    party text NOT NULL,
    period text NOT NULL,
    number text NOT NULL,
    yen bigint NOT NULL,
    day date NOT NULL,
    content bytea NOT NULL,
    received_us bigint NOT NULL,
    PRIMARY KEY (party, period, number)
);
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['brought', 'received_claim'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION settlement.refuse_change()', name);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, DELETE ON settlement.held_part TO sekisho_gateway;
GRANT SELECT, INSERT ON settlement.brought, settlement.received_claim TO sekisho_gateway;
GRANT SELECT ON settlement.brought, settlement.received_claim TO sekisho_ops;
