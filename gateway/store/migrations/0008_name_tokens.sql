-- Tokens are only ever asked for by equality, and come in an order of chance: a hash index takes half the work of a
-- B-tree to write, a quarter of its room, and so stays in memory for registers four times the size.
-- A pair that stood twice would find its record once (the look-up takes a union): no key is needed.
alter table register.name_token drop constraint name_token_pkey;
create index name_token_token on register.name_token using hash (token);
