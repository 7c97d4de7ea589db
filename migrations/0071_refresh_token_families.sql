-- All refresh tokens of one login hold the same secret, the family, so that a token which was used before can be told from one that never was.
-- `family_hash` is SHA-256 of that secret; null: the token is older than families.
alter table refresh_tokens add column family_hash text;
-- How many tokens of its family came before it, one after the other.
alter table refresh_tokens add column generation integer not null default 0;
-- When another took its place. It stays for a minute, in which a request that was only late ends nothing.
alter table refresh_tokens add column retired_ts bigint;
create index refresh_tokens_family on refresh_tokens (family_hash);
