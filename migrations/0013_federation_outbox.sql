-- What goes to other servers: https://spec.matrix.org/v1.19/server-server-api/#transactions

-- The servers other than this one with joined members in a room, in step with room_memberships.
create table room_servers (
  room_id text not null,
  server_name text not null,
  joined_members integer not null,
  primary key (room_id, server_name)
);
create index room_servers_server on room_servers (server_name, room_id);

-- Whether room_servers has rows of the room: where not, sending an event has nothing to look up.
alter table room_heads add column has_other_servers boolean not null default false;

-- Servers that were sent something. Whoever holds the lease sends; nobody else may.
create table federation_destinations (
  destination text primary key,
  leased_by text,
  leased_until bigint not null default 0,
  -- after a failure the destination rests until then (milliseconds since 1970)
  retry_ts bigint not null default 0,
  failures integer not null default 0,
  failing_since bigint,
  -- when somebody has to look after it next: the end of the lease or of the rest; null while nothing waits
  wake_ts bigint,
  -- down for long: events are no longer queued, only noted by room
  is_lagging boolean not null default false,
  -- the transaction that is being sent; it stays the same until it is answered
  txn_id text,
  txn_events bigint[],
  txn_edus bigint[]
);
create index federation_destinations_wake on federation_destinations (wake_ts) where wake_ts is not null;

-- Events that wait, in order.
create table federation_queue (
  queue_nid bigint generated always as identity primary key,
  destination text not null,
  room_id text not null,
  event_nid bigint not null
);
create index federation_queue_destination on federation_queue (destination, queue_nid);

-- Rooms in which a destination that was down for long has missed something.
create table federation_room_notes (
  destination text not null,
  room_id text not null,
  primary key (destination, room_id)
);

create table federation_edus (
  edu_nid bigint generated always as identity primary key,
  destination text not null,
  edu_type text not null,
  -- JSON
  content text not null,
  -- what waits with the same key is replaced; null once it is part of a transaction, and where each has to arrive
  edu_key text,
  -- of what a destination that is down gets only the newest
  subject text,
  -- worth nothing to a destination that is down
  is_ephemeral boolean not null,
  unique (destination, edu_key)
);
create index federation_edus_destination on federation_edus (destination, edu_nid);

-- One row: up to where the stream has been put into EDUs, and which process does so until when.
create table federation_progress (
  only_row boolean primary key default true check (only_row),
  -- null until another server has been in a room of this one
  stream_position bigint,
  leased_by text,
  leased_until bigint not null default 0
);
insert into federation_progress default values;
