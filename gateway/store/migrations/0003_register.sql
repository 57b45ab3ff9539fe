-- The register: residents' records, sealed, found by blind indexes only. See gateway/inquiry/sealing.py and index.py.
create table register.data_key (
  id int primary key,
  purpose text not null check (purpose in ('index', 'data')),
  sealed bytea not null,
  wrapped_by text not null
);
comment on table register.data_key is 'Keys of the register, wrapped by the keystore; never in the clear.';

create table register.record (
  record_id bytea primary key check (length(record_id) = 16),
  code_token bytea not null check (length(code_token) = 16),
  version int not null check (version > 0),
  key_id smallint not null check (key_id > 0),
  schema smallint not null,
  sealed bytea not null,
  superseded_on date,
  expires_on date
);
-- Records are ciphertext: compressing them would only cost time.
alter table register.record alter column sealed set storage external;
-- One standing record a code; superseded ones are kept for their period but answer no inquiry.
create unique index record_standing on register.record (code_token) where superseded_on is null;
create index record_expiry on register.record (expires_on) where expires_on is not null;

create table register.name_token (
  token bytea not null,
  record_id bytea not null references register.record on delete cascade,
  primary key (token, record_id)
);
create index name_token_record on register.name_token (record_id);

-- The workers read; records and keys are written by the schema's owner alone.
grant select on register.data_key, register.record, register.name_token to sekisho_gateway;
