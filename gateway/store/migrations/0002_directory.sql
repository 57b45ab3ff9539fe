-- The directory: whole revisions, appended, and the version that every look-up reads beside its data.
--
-- A revision is the canonical document (gateway.directory.model), with who asked, who approved and the reference of the
-- written agreement (DESIGN 8). The version row follows from the insert, in the same transaction, with the NOTIFY that is
-- only a hint. Workers read; the ops process may append; nobody alters or removes.

CREATE TABLE directory.version (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    version    bigint NOT NULL,
    changed_us bigint NOT NULL  -- microseconds since 1970 UTC
);
INSERT INTO directory.version (version, changed_us) VALUES (0, 0);

CREATE TABLE directory.revision (
    version             bigint PRIMARY KEY CHECK (version > 0),
    kind                text NOT NULL CHECK (kind IN ('apply', 'suspend', 'resume')),
    document            bytea NOT NULL,
    at_us               bigint NOT NULL,
    asked_by            text NOT NULL CHECK (asked_by <> ''),
    approved_by         text NOT NULL CHECK (approved_by <> ''),
    agreement_reference text NOT NULL CHECK (agreement_reference <> ''),
    -- A stop may be one person's decision (002 本6-1); everything else takes a second person.
    CONSTRAINT revision_second_person CHECK (kind = 'suspend' OR asked_by <> approved_by)
);
ALTER TABLE directory.revision ALTER COLUMN document SET STORAGE EXTERNAL;

-- Runs with its owner's rights: who may append a revision need not be able to write the version row.
CREATE FUNCTION directory.follow_revision() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE directory.version SET version = NEW.version, changed_us = NEW.at_us WHERE version = NEW.version - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'revision % does not follow the current version', NEW.version
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'revision_follows';
    END IF;
    PERFORM pg_catalog.pg_notify('sekisho_directory', NEW.version::text);
    RETURN NEW;
END
$$;
CREATE TRIGGER follow_revision BEFORE INSERT ON directory.revision
    FOR EACH ROW EXECUTE FUNCTION directory.follow_revision();

CREATE FUNCTION directory.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'revisions of the directory are appended, never altered' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON directory.revision
    FOR EACH STATEMENT EXECUTE FUNCTION directory.refuse_change();

GRANT SELECT ON directory.version, directory.revision TO sekisho_gateway, sekisho_ops;
GRANT INSERT ON directory.revision TO sekisho_ops;
