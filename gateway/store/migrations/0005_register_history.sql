-- The register's history: every notification makes a version; the one it supersedes is kept for its period.
-- See gateway/inquiry/versions.py (what a notification does) and gateway/inquiry/retention.py (how long).

-- Tokens are of the standing version alone. A token whose record is gone finds nothing, so no key constraint checks
-- millions of rows at a load; purging takes both away in one statement.
alter table register.name_token drop constraint name_token_record_id_fkey;
alter table register.record drop constraint record_pkey;
alter table register.record add primary key (record_id, version);
create unique index record_current on register.record (record_id) where superseded_on is null;

-- How long a version is kept: whole years, by the date of the notification from which the period counts.
create table register.retention (
  kind text not null check (kind in ('superseded', 'removed')),
  since date not null,
  years int not null check (years between 1 and 1000),
  reference text not null check (reference <> ''),
  primary key (kind, since)
);
-- 住民基本台帳法施行令34条1項・2項.
insert into register.retention values
  ('superseded', '0001-01-01', 150, '施行令34条1項'),
  ('removed', '0001-01-01', 150, '施行令34条2項');

-- How far each municipality's notifications have come. Numbers are whole to a municipality and name nobody.
create table register.notified (
  municipality text primary key check (municipality ~ '^[0-9]{6}$'),
  sequence bigint not null check (sequence > 0),
  notified_on date not null,
  accepted bigint not null check (accepted >= 0),
  refused bigint not null check (refused >= 0),
  missing bigint not null check (missing >= 0)
);

-- How far each file has been loaded; written in the transaction of the very rows it counts.
create table register.load_progress (
  digest bytea primary key check (length(digest) = 32),
  line bigint not null check (line >= 0),
  accepted bigint not null check (accepted >= 0),
  refused bigint not null check (refused >= 0),
  rejected_bytes bigint not null check (rejected_bytes >= 0),
  began_at timestamptz not null default now(),
  finished_at timestamptz
);
