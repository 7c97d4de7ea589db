-- Federation: signing keys, the outbox and the inbox. Leases: docs/decisions/0003-leases.md

-- Keys of remote servers: https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
create table server_keys (
  server_name text not null,
  -- such as ed25519:a_1
  key_id text not null,
  -- Base64
  public_key text not null,
  -- end of the key's validity, past or future
  valid_until_ts bigint not null,
  -- an old verify key: it verifies events from before valid_until_ts, but no requests
  retired boolean not null,
  fetched_ts bigint not null,
  -- JSON: the server's signed response that contains the key
  response text not null,
  primary key (server_name, key_id)
);

-- Keys that this server signs with or signed with, so that other servers can verify its old events.
create table own_keys (
  key_id text primary key,
  public_key text not null,
  -- null: in use
  expired_ts bigint
);

-- The outbox. A destination is every server that was sent something. Only the lease holder sends.
-- Design: docs/decisions/0012-federation-outbox.md
create table federation_destinations (
  destination text primary key,
  leased_by text,
  leased_until bigint not null default 0,
  -- end of the back-off after a failure (milliseconds since 1970)
  retry_ts bigint not null default 0,
  failures integer not null default 0,
  failing_since bigint,
  -- the last failure
  failed_ts bigint,
  -- the newest event that it has accepted
  accepted_nid bigint,
  -- next time for a process to check it: at the end of the lease or of the back-off; null while its queue is empty
  wake_ts bigint,
  -- down for long: events are not queued, only their rooms are noted in federation_room_notes
  needs_catch_up boolean not null default false,
  -- the transaction that is being sent; retries repeat it unchanged
  txn_id text,
  txn_events bigint[],
  txn_edus bigint[]
);
create index federation_destinations_wake on federation_destinations (wake_ts) where wake_ts is not null;

-- Events to send, in order.
create table federation_queue (
  queue_nid bigint generated always as identity primary key,
  destination text not null,
  room_id text not null,
  event_nid bigint not null
);
create index federation_queue_destination on federation_queue (destination, queue_nid);

-- Rooms of which a destination in catch-up missed events.
create table federation_room_notes (
  destination text not null,
  room_id text not null,
  primary key (destination, room_id)
);

-- EDUs to send, in order: https://spec.matrix.org/v1.19/server-server-api/#edus
create table federation_edus (
  edu_nid bigint generated always as identity primary key,
  destination text not null,
  edu_type text not null,
  -- JSON
  content text not null,
  -- a new EDU replaces a queued one with the same key; null: every EDU has to arrive, or it is part of a transaction
  edu_key text,
  -- a destination that is down gets only the newest EDU of a type and subject
  subject text,
  -- the local user who sent the to-device messages in the EDU: a full outbox drops EDUs of the users with the most
  -- bytes
  sender text,
  -- not queued for a destination that is down
  is_ephemeral boolean not null,
  unique (destination, edu_key)
);
create index federation_edus_destination on federation_edus (destination, edu_nid);

-- One row: how far the stream has been turned into EDUs. The lock on the row is the follower's lease.
create table federation_progress (
  only_row boolean primary key default true check (only_row),
  -- null until a remote server is in a room of this server
  stream_position bigint,
  -- when presence was last repeated to remote servers
  presence_ts bigint not null default 0
);
insert into federation_progress default values;

-- The inbox: events of remote servers that were acknowledged and wait to be processed, in order of inbox_nid per room.
-- Design: docs/decisions/0013-federation-inbox.md
create table federation_inbox (
  inbox_nid bigint generated always as identity primary key,
  room_id text not null,
  event_id text not null unique,
  -- the server that sent it, which is asked for missing references
  origin text not null,
  -- JSON of the verified PDU
  pdu text not null,
  received_ts bigint not null,
  -- received during a remote join of the room, before the origin's right to send could be checked
  is_early boolean not null default false,
  -- how often it was received while it was queued
  arrivals integer not null default 1,
  -- back-off after failures (milliseconds since 1970)
  attempts integer not null default 0,
  retry_ts bigint not null default 0
);
create index federation_inbox_room on federation_inbox (room_id, inbox_nid);
-- Counts what is queued from one server, to cap it.
create index federation_inbox_origin on federation_inbox (origin);

-- Rooms with queued events. Only the lease holder processes them; a released room (leased_by is null) waits until
-- leased_until.
create table federation_inbox_rooms (
  room_id text primary key,
  leased_by text,
  leased_until bigint not null default 0,
  -- counts arrivals, so that a worker that finishes sees whether there is more
  arrivals bigint not null default 1
);
create index federation_inbox_rooms_due on federation_inbox_rooms (leased_until);

-- Received transactions: a repeated one gets the same answer.
create table federation_transactions (
  origin text not null,
  txn_id text not null,
  received_ts bigint not null,
  -- JSON
  answer text not null,
  primary key (origin, txn_id)
);
create index federation_transactions_received on federation_transactions (received_ts);
