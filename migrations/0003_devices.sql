-- Devices: their tokens, end-to-end encryption keys and messages. Rows of a device are deleted with it.
--
-- Columns that end in _json are key objects as the client uploaded them, without `unsigned`.

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

create function follow_sightings() returns trigger language plpgsql as $$
begin
  update listed_users set last_seen_ts = greatest(last_seen_ts, new.last_seen_ts) where user_id = new.user_id;
  return null;
end $$;
create trigger devices_stored after insert on devices for each row when (new.last_seen_ts is not null)
  execute function follow_sightings();
create trigger devices_seen after update of last_seen_ts on devices for each row
  when (old.last_seen_ts is distinct from new.last_seen_ts) execute function follow_sightings();
create index devices_created on devices (created_ts);

-- A refresh returns a new refresh token. The old one stays valid until the new one, or the access token issued with it,
-- is used. Until then every refresh with it returns the same tokens.
create table refresh_tokens (
  token_hash text primary key,
  user_id text not null references users,
  -- null: a token of an OAuth session without a device
  device_id text,
  -- the OAuth session (0015_oauth.sql), which ends its tokens; null: a login
  oauth_session_nid bigint,
  -- random; its successor and the access token issued with that are derived from it and the token
  salt text not null,
  -- the old token, until it retires
  replaces text,
  -- SHA-256 of the secret that all refresh tokens of a login contain: it tells a reused token from an unknown one
  family_hash text not null,
  -- how many tokens of the family came before this one
  generation integer not null default 0,
  -- when another token replaced it; the row stays for a minute, in which a late request is harmless
  retired_ts bigint,
  -- The token was in a restored backup: its client may have a later one, which the restore has lost.
  is_restored boolean not null default false,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index refresh_tokens_device on refresh_tokens (user_id, device_id);
create index refresh_tokens_replaces on refresh_tokens (replaces) where replaces is not null;
create index refresh_tokens_family on refresh_tokens (family_hash);
create index refresh_tokens_oauth on refresh_tokens (oauth_session_nid) where oauth_session_nid is not null;

create table access_tokens (
  token_hash text primary key,
  user_id text not null references users,
  -- null: a token without a device
  device_id text,
  -- what the token permits: scope tokens of OAuth 2.0, separated by spaces; null: everything that the user may do
  scope text,
  expires_ts bigint,
  -- when a personal token (0016_sign_in.sql) was used last; 0: never; null: it is no personal token
  last_used_ts bigint,
  -- the refresh token that was issued with it; both end together
  refresh_token_hash text references refresh_tokens on delete cascade,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index access_tokens_device on access_tokens (user_id, device_id);
create index access_tokens_refresh on access_tokens (refresh_token_hash) where refresh_token_hash is not null;

-- Tokens for m.login.token; each is used once.
create table login_tokens (
  token_hash text primary key,
  user_id text not null references users,
  -- the device that asked for the token; null: an application service asked without a device
  device_id text,
  expires_ts bigint not null,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index login_tokens_device on login_tokens (user_id, device_id);
create index login_tokens_expiry on login_tokens (expires_ts);

create table device_keys (
  user_id text not null,
  device_id text not null,
  key_json text not null,
  primary key (user_id, device_id),
  foreign key (user_id, device_id) references devices on delete cascade
);

-- Each key is claimed once, the oldest upload first.
create table one_time_keys (
  user_id text not null,
  device_id text not null,
  algorithm text not null,
  key_id text not null,
  upload_order bigint generated always as identity,
  key_json text not null,
  primary key (user_id, device_id, algorithm, key_id),
  foreign key (user_id, device_id) references devices on delete cascade
);
create index one_time_keys_order on one_time_keys (user_id, device_id, algorithm, upload_order);

-- Returned for every claim while a device has no one-time keys.
create table fallback_keys (
  user_id text not null,
  device_id text not null,
  algorithm text not null,
  key_id text not null,
  key_json text not null,
  used boolean not null default false,
  primary key (user_id, device_id, algorithm),
  foreign key (user_id, device_id) references devices on delete cascade
);

-- Of users of this server and of remote users.
create table cross_signing_keys (
  user_id text not null,
  -- master, self_signing or user_signing
  usage text not null,
  -- unpadded Base64
  public_key text not null,
  key_json text not null,
  primary key (user_id, usage)
);

-- Signatures that were uploaded after the key that they sign. Only the signer sees signatures of other users' keys.
create table cross_signing_signatures (
  signer text not null,
  -- such as ed25519:…
  signing_key_id text not null,
  target_user_id text not null,
  -- a device id, or the public key of a master key
  target_key text not null,
  signature text not null,
  primary key (target_user_id, target_key, signer, signing_key_id)
);
create index cross_signing_signatures_signer on cross_signing_signatures (signer, signing_key_id);

-- Users who have permitted, on the account page, that their cross-signing keys are replaced without the password.
create table cross_signing_resets (
  user_id text primary key references users,
  allowed_until bigint not null
);

-- A dehydrated device collects messages while its user has no other device; at most one per user.
create table dehydrated_devices (
  user_id text primary key,
  device_id text not null,
  -- JSON
  device_data text not null,
  foreign key (user_id, device_id) references devices on delete cascade
);

create table key_backups (
  user_id text not null references users,
  version bigint not null,
  algorithm text not null,
  -- JSON
  auth_data text not null,
  -- counts the changes of the backup's keys
  etag bigint not null default 0,
  -- number of keys, and their bytes with room and session ids; updated with each change, as counting them is slow
  key_count bigint not null default 0,
  key_bytes bigint not null default 0,
  -- the row of a deleted backup stays, so that its version is not used again
  deleted boolean not null default false,
  primary key (user_id, version)
);

create table key_backup_sessions (
  user_id text not null,
  version bigint not null,
  room_id text not null,
  session_id text not null,
  first_message_index bigint not null,
  forwarded_count bigint not null,
  is_verified boolean not null,
  -- JSON
  session_data text not null,
  primary key (user_id, version, room_id, session_id),
  foreign key (user_id, version) references key_backups
);

-- Send-to-device messages that their device has not acknowledged. A message's place in sync is the stream row of kind
-- 'to_device' whose `ref` is its message_nid.
create table to_device_messages (
  message_nid bigint primary key generated always as identity,
  user_id text not null,
  device_id text not null,
  sender text not null,
  type text not null,
  -- JSON
  content text not null,
  -- what the message counts for in the limit of its device's inbox
  bytes integer not null default 0,
  -- running total of `bytes` in the inbox: the last minus the first is the inbox's size. Deletions in the middle make
  -- it too large until emptyFullInbox recomputes it.
  heaped bigint not null default 0,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index to_device_messages_device on to_device_messages (user_id, device_id, message_nid);

-- Transactions of clients that are done: a repeated request returns the same answer and sends nothing.
create table to_device_transactions (
  user_id text not null references users,
  -- of the session, or the hash of a personal token without a device; empty for application services without one
  device_id text not null,
  type text not null,
  txn_id text not null,
  created_ts bigint not null,
  primary key (user_id, device_id, type, txn_id)
);
create index to_device_transactions_created on to_device_transactions (created_ts);

-- Send-to-device messages received from remote servers: a repeated one is ignored.
create table received_messages (
  origin text not null,
  message_id text not null,
  received_ts bigint not null,
  primary key (origin, message_id)
);
create index received_messages_time on received_messages (received_ts);

-- Users of this server whose device lists were sent to remote servers, and the stream_id of the last change sent.
create table device_list_streams (
  user_id text primary key,
  stream_id bigint not null
);

-- Device lists of remote users, as far as a client needed them. Their cross-signing keys are in cross_signing_keys.
create table remote_device_lists (
  user_id text primary key,
  server_name text not null,
  -- the remote server's stream_id of the list; null: not fetched yet
  stream_id bigint,
  -- an update was missed: the list has to be fetched again
  is_stale boolean not null,
  -- counts changes of the row: a fetch that began before the last change does not mark the list as fresh
  version bigint not null default 0,
  -- lease of the process that fetches the list, and back-off after failures (milliseconds since 1970)
  leased_until bigint not null default 0,
  retry_ts bigint not null default 0,
  failures integer not null default 0
);
create index remote_device_lists_stale on remote_device_lists (retry_ts) where is_stale;

create table remote_device_keys (
  user_id text not null references remote_device_lists on delete cascade,
  device_id text not null,
  key_json text not null,
  display_name text,
  primary key (user_id, device_id)
);

-- Mailboxes through which one device signs in another (MSC4108, MSC4388).
create table rendezvous_sessions (
  session_id text primary key,
  -- address or user that created it
  creator text not null,
  -- wide network (IPv6: /48, IPv4: /24) of a creator without an account, to cap its sessions; null: a user
  network text,
  content text not null,
  content_type text not null,
  -- changes with the content: a write must name the content that it replaces
  sequence_token text not null,
  changed_ts bigint not null,
  expires_ts bigint not null
);
create index rendezvous_sessions_expiry on rendezvous_sessions (expires_ts);
create index rendezvous_sessions_creator on rendezvous_sessions (creator);

-- Results of writes to a rendezvous session: a repeated write returns the same result (MSC4388).
create table rendezvous_transactions (
  session_id text not null references rendezvous_sessions on delete cascade,
  txn_id text not null,
  -- null: the write was refused, as another write came first
  sequence_token text,
  primary key (session_id, txn_id)
);
