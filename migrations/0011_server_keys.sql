-- Signing keys: https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys. Columns that end in _ts are milliseconds since 1970.

-- The keys of other servers.
create table server_keys (
  server_name text not null,
  -- such as ed25519:a_1
  key_id text not null,
  -- Base64
  public_key text not null,
  -- when it was, or will be, last good for
  valid_until_ts bigint not null,
  -- no longer in use: it may have signed events before valid_until_ts, but signs no requests
  retired boolean not null,
  fetched_ts bigint not null,
  -- JSON: the server's own signed answer that had the key
  response text not null,
  primary key (server_name, key_id)
);

-- The keys that this server has ever signed with, so that others can verify its old events.
create table own_keys (
  key_id text primary key,
  public_key text not null,
  -- null: in use
  expired_ts bigint
);
