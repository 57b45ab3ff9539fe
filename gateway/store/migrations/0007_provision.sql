-- 提供状況: who received what of whom, for what. Sealed rows that go in with their block, the projection people search,
-- one key a year, and what remains when the year is destroyed. See gateway/inquiry/provision.py.
--
-- A year is one in Japan (UTC+9). With its key goes everything that could open or match its rows; with its partitions,
-- the rows. Until then nothing is altered or removed, by anyone.

CREATE SCHEMA provision;
GRANT USAGE ON SCHEMA provision TO sekisho_gateway, sekisho_ops;

CREATE TABLE provision.retirement (
    year smallint PRIMARY KEY,
    statement bytea NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL,
    at_us bigint NOT NULL
);

CREATE TABLE provision.year_key (
    year smallint PRIMARY KEY CHECK (year BETWEEN 2000 AND 9999),
    sealed bytea NOT NULL,
    key_id text NOT NULL
);
COMMENT ON TABLE provision.year_key IS 'Secrets of the years, wrapped by the keystore; never in the clear.';

-- One row for each block that provided anything: a subject token of 16 bytes a record, and their details under one seal.
CREATE TABLE provision.batch (
    stream bytea NOT NULL,
    height bigint NOT NULL,
    at_us bigint NOT NULL,
    year smallint NOT NULL,
    subjects bytea NOT NULL CHECK (length(subjects) > 0 AND length(subjects) % 16 = 0),
    sealed bytea NOT NULL,
    PRIMARY KEY (stream, height, year)
) PARTITION BY LIST (year);
-- Tokens and ciphertext do not compress.
ALTER TABLE provision.batch ALTER COLUMN subjects SET STORAGE EXTERNAL;
ALTER TABLE provision.batch ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE TABLE provision.batch_rest PARTITION OF provision.batch DEFAULT;

-- What is searched: one row a record provided, written by ops, rebuilt at will from batches and blocks.
CREATE TABLE provision.record (
    stream bytea NOT NULL,
    height bigint NOT NULL,
    idx int NOT NULL,
    year smallint NOT NULL,
    subject bytea NOT NULL,
    at timestamptz NOT NULL,
    party text NOT NULL,
    line text NOT NULL,
    affair text NOT NULL,
    step smallint NOT NULL,
    staff text NOT NULL,
    case_token bytea NOT NULL,
    request_id uuid NOT NULL,
    outcome smallint NOT NULL,
    kind smallint NOT NULL,
    given smallint NOT NULL,
    PRIMARY KEY (stream, height, idx, year)
) PARTITION BY LIST (year);
CREATE INDEX record_subject ON provision.record (subject, at);
CREATE INDEX record_case ON provision.record (case_token, at);
CREATE INDEX record_party ON provision.record (party, at);
CREATE INDEX record_at ON provision.record (at);
CREATE TABLE provision.record_rest PARTITION OF provision.record DEFAULT;
CREATE TABLE provision.projected (
    stream bytea PRIMARY KEY,
    height_next bigint NOT NULL
);

-- Every reading of the history: who asked, when, what kind, for which reference. The token is of the year of the reading.
CREATE TABLE provision.access (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_us bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('subject', 'case', 'party', 'disclosure', 'analysis')),
    asked_by text NOT NULL CHECK (asked_by <> ''),
    reference text NOT NULL CHECK (reference <> ''),
    target text NOT NULL,
    target_token bytea,
    rows int NOT NULL
);

-- What the analyses found: a candidate for an incident, once a rule, window and subject; pseudonyms and counts only.
CREATE TABLE provision.candidate (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    window_on date NOT NULL,
    subject text NOT NULL,
    party text NOT NULL,
    count int NOT NULL,
    threshold int NOT NULL,
    found_us bigint NOT NULL,
    closed_us bigint,
    closed_by text,
    finding text,
    UNIQUE (rule, window_on, subject),
    CHECK ((closed_us IS NULL) = (closed_by IS NULL) AND (closed_us IS NULL) = (finding IS NULL))
);
CREATE INDEX candidate_open ON provision.candidate (rule) WHERE closed_us IS NULL;

-- A row goes only when the key of its year is gone already, in the one transaction that retires the year.
CREATE FUNCTION provision.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM provision.year_key k WHERE k.year = OLD.year) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the provision history is append only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '42501';
END
$$;
CREATE FUNCTION provision.refuse_always() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the provision history is append only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '42501';
END
$$;
-- A retired year cannot come back, whatever a clock says.
CREATE FUNCTION provision.refuse_retired() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM provision.retirement r WHERE r.year = NEW.year) THEN
        RAISE EXCEPTION 'the year % is retired', NEW.year USING ERRCODE = '42501';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON provision.batch
    FOR EACH ROW EXECUTE FUNCTION provision.refuse_change();
CREATE TRIGGER not_retired BEFORE INSERT ON provision.year_key
    FOR EACH ROW EXECUTE FUNCTION provision.refuse_retired();
CREATE TRIGGER unaltered BEFORE UPDATE ON provision.year_key
    FOR EACH STATEMENT EXECUTE FUNCTION provision.refuse_always();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON provision.year_key
    FOR EACH STATEMENT EXECUTE FUNCTION provision.refuse_always();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['access', 'retirement'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provision.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION provision.refuse_always()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['batch', 'batch_rest'] LOOP
        EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON provision.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION provision.refuse_always()', name);
    END LOOP;
END
$$;

-- One partition a year. Made ahead by the ops process; the defaults take what has none.
CREATE FUNCTION provision.make_year(wanted int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    batch text := 'batch_' || wanted;
    record text := 'record_' || wanted;
BEGIN
    IF to_regclass('provision.' || batch) IS NOT NULL OR EXISTS (SELECT FROM provision.retirement WHERE year = wanted)
        OR EXISTS (SELECT FROM provision.batch_rest WHERE year = wanted)
        OR EXISTS (SELECT FROM provision.record_rest WHERE year = wanted)
    THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE provision.%I PARTITION OF provision.batch FOR VALUES IN (%L)', batch, wanted);
    EXECUTE format('CREATE TABLE provision.%I PARTITION OF provision.record FOR VALUES IN (%L)', record, wanted);
    -- A trigger on the parent does not fire for a statement that names the partition.
    EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON provision.%I FOR EACH STATEMENT '
        'EXECUTE FUNCTION provision.refuse_always()', batch);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION provision.make_year(int) TO sekisho_ops;
SELECT provision.make_year(extract(year FROM now() AT TIME ZONE 'Asia/Tokyo')::int + n) FROM generate_series(0, 1) AS n;

-- Through the parents alone: the partitions are the owner's.
GRANT SELECT, INSERT ON provision.year_key TO sekisho_gateway;
GRANT INSERT ON provision.batch TO sekisho_gateway;
GRANT SELECT ON ALL TABLES IN SCHEMA provision TO sekisho_ops;
GRANT INSERT ON provision.record, provision.access, provision.candidate TO sekisho_ops;
GRANT TRUNCATE ON provision.record TO sekisho_ops;
GRANT UPDATE (count, closed_us, closed_by, finding) ON provision.candidate TO sekisho_ops;
GRANT INSERT, UPDATE, TRUNCATE ON provision.projected TO sekisho_ops;
