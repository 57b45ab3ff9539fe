-- Settlement: what was done in it, and the documents that came of it. See gateway/settlement and docs/SETTLEMENT.md.
--
-- An act stands only together with the block whose entry has its hash. All of this is append only.

CREATE SCHEMA settlement;
GRANT USAGE ON SCHEMA settlement TO sekisho_gateway, sekisho_ops;

-- content: the canonical bytes of protocol.act.Act; the columns before it are its key, and said once more for queries.
CREATE TABLE settlement.act (
    contract text NOT NULL,
    claim text NOT NULL,
    period text NOT NULL,
    party text NOT NULL,
    kind smallint NOT NULL,
    turn int NOT NULL CHECK (turn >= 0),
    at_us bigint NOT NULL,
    content bytea NOT NULL,
    stream bytea NOT NULL,
    height bigint NOT NULL,
    idx int NOT NULL,
    PRIMARY KEY (contract, claim, period, party, kind, turn),
    UNIQUE (stream, height, idx)
);
CREATE INDEX act_order ON settlement.act (at_us);

-- Files that parties fetch over their lines. party: who may; digest: SHA-256 of the whole; the id is random.
CREATE TABLE settlement.document (
    id bytea PRIMARY KEY CHECK (length(id) = 16),
    party text NOT NULL,
    period text NOT NULL,
    name text NOT NULL,
    media text NOT NULL,
    size bigint NOT NULL CHECK (size >= 0),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    made_us bigint NOT NULL,
    UNIQUE (party, period, name)
);
CREATE TABLE settlement.document_part (
    document bytea NOT NULL REFERENCES settlement.document DEFERRABLE,
    number int NOT NULL CHECK (number >= 0),
    data bytea NOT NULL,
    PRIMARY KEY (document, number)
);

CREATE FUNCTION settlement.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'settlement is append only: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['act', 'document', 'document_part'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION settlement.refuse_change()', name);
    END LOOP;
END
$$;
GRANT SELECT ON settlement.document, settlement.document_part TO sekisho_gateway;
GRANT SELECT, INSERT ON settlement.act TO sekisho_gateway;
GRANT SELECT ON settlement.act, settlement.document TO sekisho_ops;
