-- End-to-end encryption. What hangs on a device goes with it. Key objects are JSON as the client uploaded them, without `unsigned`.

create table device_keys (
  user_id text not null,
  device_id text not null,
  key_json text not null,
  primary key (user_id, device_id),
  foreign key (user_id, device_id) references devices on delete cascade
);

-- Each is given out once, those uploaded first before the others.
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

-- Given out, again and again, when there are no one-time keys left.
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

create table cross_signing_keys (
  user_id text not null,
  -- master, self_signing or user_signing
  usage text not null,
  -- unpadded Base64
  public_key text not null,
  key_json text not null,
  primary key (user_id, usage)
);

-- Signatures that came after the key they sign. Those on other users' keys are for their signer's eyes only.
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

-- Messages that their device has not yet acknowledged. The stream row of kind 'to_device' whose `ref` is the message_nid gives the place in line.
create table to_device_messages (
  message_nid bigint primary key generated always as identity,
  user_id text not null,
  device_id text not null,
  sender text not null,
  type text not null,
  -- JSON
  content text not null,
  foreign key (user_id, device_id) references devices on delete cascade
);
create index to_device_messages_device on to_device_messages (user_id, device_id, message_nid);
create index stream_to_device on stream (ref, stream_position) where kind = 'to_device';

-- Requests that have been carried out; a client that repeats one gets the same answer and nothing is sent again.
create table to_device_transactions (
  user_id text not null references users,
  -- empty for application services that act without a device
  device_id text not null,
  type text not null,
  txn_id text not null,
  created_ts bigint not null,
  primary key (user_id, device_id, type, txn_id)
);
create index to_device_transactions_created on to_device_transactions (created_ts);

create table key_backups (
  user_id text not null references users,
  version bigint not null,
  algorithm text not null,
  -- JSON
  auth_data text not null,
  -- counts the changes of the backup's keys
  etag bigint not null default 0,
  -- the row stays, so that a version is not given out again
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

-- A device that collects messages while its user is logged in nowhere; a user has at most one.
create table dehydrated_devices (
  user_id text primary key,
  device_id text not null,
  -- JSON
  device_data text not null,
  foreign key (user_id, device_id) references devices on delete cascade
);
