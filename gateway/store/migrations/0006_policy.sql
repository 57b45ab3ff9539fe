-- What bounds the asking (牽制体制, 002 別2-2(9)イ): volume reserved by day, and approvals by a second person.
CREATE SCHEMA IF NOT EXISTS inquiry;
GRANT USAGE ON SCHEMA inquiry TO sekisho_gateway, sekisho_ops;

-- Records reserved on a day in Japan for a member of staff, a line or a party. Workers reserve in leases and count inside
-- them; what a crashed worker held stays reserved, so a limit is never passed, and may be reached early.
CREATE TABLE inquiry.volume (
    day      date NOT NULL,
    party    text NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('staff', 'line', 'party')),
    subject  text NOT NULL,  -- the staff number, the line's name, or '' for the party
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    leased   bigint NOT NULL DEFAULT 0 CHECK (leased >= 0),  -- by the latest statement, so that it can be returned
    PRIMARY KEY (day, party, kind, subject)
);
GRANT SELECT, INSERT, UPDATE ON inquiry.volume TO sekisho_gateway;
GRANT SELECT, DELETE ON inquiry.volume TO sekisho_ops;

-- An approval is what the ledger says it is: a row counts only under the commitment of the recorded APPROVE.
CREATE TABLE inquiry.approval (
    party      text NOT NULL,
    request_id bytea NOT NULL CHECK (length(request_id) = 16),
    commitment bytea NOT NULL CHECK (length(commitment) = 32),
    affair     text NOT NULL,
    step       smallint NOT NULL,
    staff      text NOT NULL,
    expires_us bigint NOT NULL,  -- microseconds since 1970 UTC
    PRIMARY KEY (party, request_id, commitment)
);
CREATE INDEX approval_expiry ON inquiry.approval (expires_us);

CREATE TABLE inquiry.approval_item (
    party      text NOT NULL,
    request_id bytea NOT NULL,
    commitment bytea NOT NULL,
    token      bytea NOT NULL CHECK (length(token) = 32),  -- keyed: a digest of a question could be guessed
    spent_by   bytea CHECK (length(spent_by) = 16),
    PRIMARY KEY (party, request_id, commitment, token),
    FOREIGN KEY (party, request_id, commitment) REFERENCES inquiry.approval ON DELETE CASCADE
);
GRANT SELECT, INSERT ON inquiry.approval, inquiry.approval_item TO sekisho_gateway;
GRANT UPDATE (spent_by) ON inquiry.approval_item TO sekisho_gateway;
GRANT SELECT, DELETE ON inquiry.approval TO sekisho_ops;

-- What the parties must be told of a change of the directory (002 本6-2, 本2-2), one row a line concerned, written with
-- the revision. The worker that tells the line marks it sent; a person may close what no line could be told.
CREATE TABLE directory.notice (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version    bigint NOT NULL,
    kind       smallint NOT NULL,
    party      text NOT NULL,
    line       text NOT NULL,
    text       text NOT NULL CHECK (text <> ''),
    decided_us bigint NOT NULL,
    due_us     bigint NOT NULL,
    sent_us    bigint,
    closed_us  bigint,
    closed_by  text,
    CONSTRAINT notice_closed_by CHECK ((closed_us IS NULL) = (closed_by IS NULL))
);
CREATE INDEX notice_open ON directory.notice (due_us) WHERE sent_us IS NULL AND closed_us IS NULL;
GRANT SELECT ON directory.notice TO sekisho_gateway, sekisho_ops;
GRANT UPDATE (sent_us) ON directory.notice TO sekisho_gateway;
GRANT INSERT, UPDATE (closed_us, closed_by) ON directory.notice TO sekisho_ops;
