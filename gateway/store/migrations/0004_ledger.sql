-- The ledger: streams of blocks as the very bytes that were signed, claims of request ids, checkpoints over all blocks.
-- Append only. The gateway's role has no UPDATE or DELETE, and triggers refuse them to everyone (DESIGN 3, 5).

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append only: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;

CREATE TABLE ledger.stream (
    id bytea PRIMARY KEY CHECK (length(id) = 16),
    role text NOT NULL,
    node text NOT NULL,
    slot int NOT NULL,
    opened_us bigint NOT NULL,
    predecessor bytea REFERENCES ledger.stream
);
CREATE INDEX stream_place ON ledger.stream (role, node, slot);

CREATE TABLE ledger.block (
    stream bytea NOT NULL REFERENCES ledger.stream,
    height bigint NOT NULL CHECK (height >= 0),
    header bytea NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL,
    entries bytea NOT NULL,
    PRIMARY KEY (stream, height)
);
-- Digests and keyed commitments do not compress.
ALTER TABLE ledger.block ALTER COLUMN entries SET STORAGE EXTERNAL;

CREATE TABLE ledger.claim (
    party text NOT NULL,
    request_id bytea NOT NULL CHECK (length(request_id) = 16),
    turn smallint NOT NULL CHECK (turn BETWEEN -1 AND 8),
    commitment bytea NOT NULL CHECK (length(commitment) = 32),
    stream bytea NOT NULL,
    height bigint NOT NULL,
    idx int NOT NULL,
    PRIMARY KEY (request_id, party, turn)
) PARTITION BY RANGE (request_id);
CREATE TABLE ledger.claim_rest PARTITION OF ledger.claim DEFAULT;

-- One partition a month of the time in the id. Made ahead by the ops process; the default takes what has none.
CREATE FUNCTION ledger.make_claim_partition(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'claim_' || to_char(first, 'YYYY_MM');
    low bytea := substring(int8send((extract(epoch FROM first) * 1000)::bigint) FROM 3) || '\x00000000000000000000'::bytea;
    high bytea := substring(int8send((extract(epoch FROM first + interval '1 month') * 1000)::bigint) FROM 3)
        || '\x00000000000000000000'::bytea;
BEGIN
    IF to_regclass('ledger.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM ledger.claim_rest WHERE request_id >= low AND request_id < high LIMIT 1;
    IF FOUND THEN
        RETURN false;  -- they stay where they are: moving rows would be a change
    END IF;
    EXECUTE format('CREATE TABLE ledger.%I PARTITION OF ledger.claim FOR VALUES FROM (%L) TO (%L)', name, low, high);
    EXECUTE format('GRANT SELECT, INSERT ON ledger.%I TO sekisho_gateway', name);
    -- A trigger on the parent does not fire for a statement that names the partition.
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.%I FOR EACH STATEMENT '
        'EXECUTE FUNCTION ledger.refuse_change()', name);
    EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON ledger.%I FOR EACH STATEMENT '
        'EXECUTE FUNCTION ledger.refuse_change()', name);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION ledger.make_claim_partition(date) TO sekisho_ops;
SELECT ledger.make_claim_partition((now() + make_interval(months => n))::date) FROM generate_series(0, 1) AS n;

CREATE TABLE ledger.commitment_key (
    month text PRIMARY KEY CHECK (month ~ '^[0-9]{4}-[0-9]{2}$'),
    sealed bytea NOT NULL,
    key_id text NOT NULL
);

CREATE TABLE ledger.checkpoint_leaf (
    position bigint PRIMARY KEY CHECK (position >= 0),
    stream bytea NOT NULL,
    height bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    UNIQUE (stream, height)
);
-- Roots of complete subtrees: level 0 is checkpoint_leaf; a proof reads O(log n) of them.
CREATE TABLE ledger.checkpoint_node (
    level smallint NOT NULL CHECK (level > 0),
    place bigint NOT NULL CHECK (place >= 0),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, place)
);
CREATE TABLE ledger.checkpoint (
    size bigint PRIMARY KEY CHECK (size > 0),
    note text NOT NULL,
    at_us bigint NOT NULL
);

-- What people query: a projection of the entries, written by ops, rebuilt at will, checked against the bytes.
CREATE TABLE ledger.entry (
    stream bytea NOT NULL,
    height bigint NOT NULL,
    idx int NOT NULL,
    at timestamptz NOT NULL,
    party text NOT NULL,
    line text NOT NULL,
    request_id uuid NOT NULL,
    operation smallint NOT NULL,
    matter text NOT NULL,
    step smallint NOT NULL,
    counterparty text NOT NULL,
    outcome smallint NOT NULL,
    kind smallint NOT NULL,
    yen bigint NOT NULL,
    commission bigint NOT NULL,
    terms int NOT NULL,
    PRIMARY KEY (stream, height, idx)
);
CREATE INDEX entry_party ON ledger.entry (party, at);
CREATE TABLE ledger.projected (
    stream bytea PRIMARY KEY,
    height_next bigint NOT NULL
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['stream', 'block', 'claim', 'claim_rest', 'checkpoint_leaf', 'checkpoint_node', 'checkpoint'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.%I FOR EACH STATEMENT '
            'EXECUTE FUNCTION ledger.refuse_change()', name);
        EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON ledger.%I FOR EACH STATEMENT '
            'EXECUTE FUNCTION ledger.refuse_change()', name);
    END LOOP;
END
$$;

GRANT SELECT, INSERT ON ledger.stream, ledger.block, ledger.claim, ledger.claim_rest, ledger.commitment_key TO sekisho_gateway;
GRANT SELECT ON ledger.checkpoint_leaf, ledger.checkpoint_node, ledger.checkpoint TO sekisho_gateway;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO sekisho_ops;
GRANT INSERT ON ledger.checkpoint_leaf, ledger.checkpoint_node, ledger.checkpoint TO sekisho_ops;
GRANT INSERT, UPDATE, DELETE, TRUNCATE ON ledger.entry, ledger.projected TO sekisho_ops;
