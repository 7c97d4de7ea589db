-- Columns that end in _ts are milliseconds since 1970. Secrets are kept as hashes only: SHA-256 in base64url.

create table users (
  user_id text primary key,
  -- PHC format; null: the user cannot log in with a password
  password_hash text,
  is_admin boolean not null default false,
  is_guest boolean not null default false,
  created_ts bigint not null,
  -- the row stays, so that nobody else gets the name
  deactivated_ts bigint,
  erased boolean not null default false,
  locked boolean not null default false,
  suspended boolean not null default false,
  exempt_from_rate_limits boolean not null default false
);

create table devices (
  user_id text not null references users,
  device_id text not null,
  display_name text,
  created_ts bigint not null,
  last_seen_ts bigint,
  last_seen_ip text,
  last_seen_user_agent text,
  primary key (user_id, device_id)
);

-- A new refresh token `replaces` the one it was got with until it, or the access token beside it, is used for the first time.
create table refresh_tokens (
  token_hash text primary key,
  user_id text not null,
  device_id text not null,
  replaces text,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index refresh_tokens_device on refresh_tokens (user_id, device_id);
create index refresh_tokens_replaces on refresh_tokens (replaces) where replaces is not null;

create table access_tokens (
  token_hash text primary key,
  user_id text not null references users,
  device_id text,
  expires_ts bigint,
  -- the refresh token that was given out with it; both end together
  refresh_token_hash text references refresh_tokens on delete cascade,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index access_tokens_device on access_tokens (user_id, device_id);
create index access_tokens_refresh on access_tokens (refresh_token_hash) where refresh_token_hash is not null;

-- For m.login.token; each is used once.
create table login_tokens (
  token_hash text primary key,
  user_id text not null references users,
  expires_ts bigint not null
);
create index login_tokens_expiry on login_tokens (expires_ts);

-- Proofs to others that their holder is the user.
create table openid_tokens (
  token_hash text primary key,
  user_id text not null references users,
  expires_ts bigint not null
);
create index openid_tokens_expiry on openid_tokens (expires_ts);

-- User-interactive authentication that is under way.
create table uia_sessions (
  session_id text primary key,
  -- method, path and user: what the authentication is for, and nothing else
  operation text not null,
  -- JSON, without `auth`
  body text not null,
  -- JSON object: what each completed stage found out, by stage type
  completed text not null default '{}',
  expires_ts bigint not null
);
create index uia_sessions_expiry on uia_sessions (expires_ts);

-- Nonces of registration by shared secret; each is used once.
create table registration_nonces (
  nonce text primary key,
  expires_ts bigint not null
);

create table registration_tokens (
  token text primary key,
  -- null: any number
  uses_allowed integer,
  uses_completed integer not null default 0,
  expires_ts bigint
);

create table profiles (
  user_id text primary key references users,
  displayname text,
  avatar_url text,
  -- all other fields: a JSON object
  fields text not null default '{}'
);

create table account_data (
  user_id text not null references users,
  -- empty for global account data
  room_id text not null default '',
  type text not null,
  -- JSON
  content text not null,
  primary key (user_id, room_id, type)
);

-- What users changed about the push rules; the default rules come from the program.
create table push_rules (
  user_id text primary key references users,
  -- JSON
  overlay text not null
);

-- The id is a hash of the filter, so that the same filter is stored once.
create table filters (
  user_id text not null references users,
  filter_id text not null,
  -- JSON
  filter text not null,
  primary key (user_id, filter_id)
);
