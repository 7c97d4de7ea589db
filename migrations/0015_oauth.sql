-- OAuth 2.0: clients, the requests with which they begin, and their sessions.
-- https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api

create table oauth_clients (
  -- hash of the metadata: a client that registers again gets the same id
  client_id text primary key,
  -- canonical JSON of the registered metadata
  metadata text not null,
  created_ts bigint not null,
  -- when the client is deleted, unless it has a session then; each use delays it
  expires_ts bigint not null
);
create index oauth_clients_expiry on oauth_clients (expires_ts);
create index oauth_clients_created on oauth_clients (created_ts);

-- Sessions that OAuth clients opened. A session's tokens are those of refresh_tokens.oauth_session_nid.
create table oauth_sessions (
  session_nid bigint primary key generated always as identity,
  client_id text not null references oauth_clients,
  user_id text not null references users,
  -- null: a session without a device
  device_id text,
  -- the granted scope
  scope text not null,
  created_ts bigint not null,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index oauth_sessions_user on oauth_sessions (user_id, device_id);
create index oauth_sessions_client on oauth_sessions (client_id);
create index oauth_sessions_created on oauth_sessions (created_ts);

alter table refresh_tokens
  add foreign key (oauth_session_nid) references oauth_sessions on delete cascade;

-- Authorization requests, from the client's request to the exchange of the code.
create table oauth_requests (
  request_id text primary key,
  client_id text not null references oauth_clients on delete cascade,
  redirect_uri text not null,
  -- 'query' or 'fragment'
  response_mode text not null,
  scope text not null,
  -- empty: the client sent none
  state text not null,
  nonce text,
  -- SHA-256 of the code verifier in base64url
  code_challenge text not null,
  -- JSON list of the values of `prompt`
  prompt text not null,
  login_hint text,
  created_ts bigint not null,
  expires_ts bigint not null,
  -- Set when the user consents: the user, when that user signed in, the granted scope, and the code.
  user_id text references users,
  authenticated_ts bigint,
  granted_scope text,
  code_hash text,
  -- when the code was exchanged, and for which session: a code that comes again ends it
  exchanged_ts bigint,
  session_nid bigint references oauth_sessions on delete set null
);
create unique index oauth_requests_code on oauth_requests (code_hash) where code_hash is not null;
create index oauth_requests_expiry on oauth_requests (expires_ts);
create index oauth_requests_client on oauth_requests (client_id);
create index oauth_requests_user on oauth_requests (user_id) where user_id is not null;
create index oauth_requests_session on oauth_requests (session_nid) where session_nid is not null;

-- Device grants (RFC 8628), from the request of a device without a browser to the issue of its tokens.
create table oauth_device_grants (
  device_code_hash text primary key,
  -- hash of the code that the user sees, without its dash
  user_code_hash text not null unique,
  client_id text not null references oauth_clients on delete cascade,
  scope text not null,
  -- address from which the device requested the grant, which its user is shown
  ip text not null,
  -- rate-limit network of that address, and wide network (IPv6: /48, IPv4: /24) around it, to cap pending grants
  network text not null,
  wide_network text not null,
  created_ts bigint not null,
  expires_ts bigint not null,
  -- The device polls at most this often; grows if it polls too soon.
  interval_ms integer not null,
  polled_ts bigint,
  -- Set when a user decides: when, the user, when that user signed in, and the granted scope (null: refused).
  decided_ts bigint,
  user_id text references users,
  authenticated_ts bigint,
  granted_scope text
);
create index oauth_device_grants_expiry on oauth_device_grants (expires_ts);
create index oauth_device_grants_client on oauth_device_grants (client_id);
create index oauth_device_grants_user on oauth_device_grants (user_id) where user_id is not null;
