-- Certificates (証明書交付サービス): applications, what happened to each, the sealed documents on their way, the reports
-- owed to municipalities, and incidents. See gateway/issuance and docs/ISSUANCE.md.
--
-- History (application, event, report, incident) is append only. What must be destroyed (authentication, document) stands
-- in tables of its own, whose rows go with erasure or expiry (000仕14, 001-15). No row holds a name, an address, a
-- 住民票コード or a 個人番号: a subject is a pseudonym that differs from municipality to municipality.

CREATE SCHEMA issuance;
GRANT USAGE ON SCHEMA issuance TO sekisho_gateway, sekisho_ops;

-- Keys that all workers share (nonce, pseudonym), wrapped by the keystore; never in the clear.
CREATE TABLE issuance.secret (
    name text PRIMARY KEY CHECK (name IN ('nonce', 'pseudonym')),
    sealed bytea NOT NULL,
    key_id text NOT NULL
);

-- One row an authenticated application, written by the block that records AUTHENTICATED.
CREATE TABLE issuance.application (
    application bytea PRIMARY KEY CHECK (length(application) = 16),
    operator text NOT NULL,
    kiosk text NOT NULL,
    municipality text NOT NULL CHECK (municipality ~ '^[0-9]{6}$'),
    card_type smallint NOT NULL,
    pseudonym bytea NOT NULL CHECK (length(pseudonym) = 16),
    kiosk_key bytea NOT NULL,  -- public key of the kiosk's certificate (SPKI): an erasure may be attested years later
    nonce bytea NOT NULL UNIQUE CHECK (length(nonce) = 40),
    expires_at_us bigint NOT NULL
);

-- The body of AUTHENTICATE, needed again for APPLY and ISSUE: session, certificates, signatures. Sealed.
CREATE TABLE issuance.authentication (
    application bytea PRIMARY KEY CHECK (length(application) = 16),
    sealed bytea NOT NULL,
    expires_at_us bigint NOT NULL
);
CREATE INDEX authentication_expiry ON issuance.authentication (expires_at_us);

-- What happened: one row a transition (protocol.application.Transition), written by the block that records it.
-- request: the body that asked for it, except AUTHENTICATE's. answer: the body that was answered.
-- fee_yen, commission_yen (of a copy) and terms are those of APPLIED; yen, commission and copies the signed changes.
-- place counts an application's transitions of money (completed, corrected, voided), each decided upon the one before it:
-- two workers that decide at the same moment cannot both be right, and cannot both stand.
CREATE TABLE issuance.event (
    application bytea NOT NULL,
    transition smallint NOT NULL,
    stream bytea NOT NULL,
    height bigint NOT NULL,
    idx int NOT NULL,
    at_us bigint NOT NULL,
    request bytea NOT NULL,
    answer bytea NOT NULL,
    fee_yen int NOT NULL DEFAULT 0,
    commission_yen int NOT NULL DEFAULT 0,
    terms int NOT NULL DEFAULT 0,
    copies int NOT NULL DEFAULT 0,
    yen bigint NOT NULL DEFAULT 0,
    commission bigint NOT NULL DEFAULT 0,
    deposited_at_us bigint NOT NULL DEFAULT 0,
    store_day text NOT NULL DEFAULT '',
    store text NOT NULL DEFAULT '',
    place smallint CHECK (place > 0),
    counterparty text NOT NULL DEFAULT '',  -- the municipality's party
    PRIMARY KEY (application, transition),
    UNIQUE (application, place),
    UNIQUE (stream, height, idx)
);

-- The document as it is sealed to the kiosk's session; nobody here can open it.
CREATE TABLE issuance.document (
    application bytea PRIMARY KEY CHECK (length(application) = 16),
    sealed bytea NOT NULL,
    expires_at_us bigint NOT NULL
);
ALTER TABLE issuance.document ALTER COLUMN sealed SET STORAGE EXTERNAL;  -- random bytes; parts are read by substring
CREATE INDEX document_expiry ON issuance.document (expires_at_us);

-- The durable queue to municipalities (001-14-1). The block's statement puts money's transitions into `due`, unnumbered:
-- a number taken there would make blocks of two workers wait for one another. Whoever forwards moves them to `report`,
-- numbered from 1 without a gap, one at a time per municipality.
CREATE TABLE issuance.due (
    application bytea NOT NULL,
    transition smallint NOT NULL,
    municipality text NOT NULL,
    at_us bigint NOT NULL,
    PRIMARY KEY (application, transition)
);
CREATE INDEX due_municipality ON issuance.due (municipality, at_us);
CREATE TABLE issuance.report (
    municipality text NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    application bytea NOT NULL,
    transition smallint NOT NULL,
    payload bytea NOT NULL,  -- protocol.issuance.Report
    noted_us bigint,
    PRIMARY KEY (municipality, number),
    UNIQUE (application, transition)
);
CREATE INDEX report_open ON issuance.report (municipality, number) WHERE noted_us IS NULL;

-- A reply that was dropped, open until a person closes it, even if asking again succeeded.
CREATE TABLE issuance.incident (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_us bigint NOT NULL,
    kind text NOT NULL CHECK (kind <> ''),
    municipality text NOT NULL,
    application bytea,
    detail text NOT NULL CHECK (length(detail) <= 80),
    closed_us bigint,
    closed_by text,
    ground text,
    CHECK ((closed_us IS NULL) = (closed_by IS NULL) AND (closed_us IS NULL) = (ground IS NULL))
);
CREATE INDEX incident_open ON issuance.incident (id) WHERE closed_us IS NULL;

CREATE FUNCTION issuance.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of applications is append only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '42501';
END
$$;
-- Of a report and an incident only the mark of its end may be set, once.
CREATE FUNCTION issuance.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'report' AND to_jsonb(NEW) - 'noted_us' = to_jsonb(OLD) - 'noted_us' THEN
        RETURN NEW;
    END IF;
    IF TG_TABLE_NAME = 'incident' AND to_jsonb(OLD) -> 'closed_us' = 'null'::jsonb
        AND to_jsonb(NEW) - '{closed_us,closed_by,ground}'::text[] = to_jsonb(OLD) - '{closed_us,closed_by,ground}'::text[]
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what was written is not rewritten: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['application', 'event'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON issuance.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION issuance.refuse_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['report', 'incident'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON issuance.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION issuance.refuse_change()', name);
        EXECUTE format('CREATE TRIGGER unaltered BEFORE UPDATE ON issuance.%I '
            'FOR EACH ROW EXECUTE FUNCTION issuance.refuse_rewriting()', name);
    END LOOP;
END
$$;

GRANT SELECT, INSERT ON issuance.secret, issuance.application, issuance.event, issuance.report, issuance.incident
    TO sekisho_gateway;
GRANT SELECT, INSERT, DELETE ON issuance.authentication, issuance.document, issuance.due TO sekisho_gateway;
GRANT UPDATE (noted_us) ON issuance.report TO sekisho_gateway;
GRANT SELECT ON issuance.application, issuance.event, issuance.due, issuance.report, issuance.incident TO sekisho_ops;
GRANT SELECT (application, expires_at_us) ON issuance.document, issuance.authentication TO sekisho_ops;
GRANT UPDATE (closed_us, closed_by, ground) ON issuance.incident TO sekisho_ops;
