-- Application services: docs/decisions/0015-application-services.md

-- One row per application service that receives transactions. The stream is its queue.
create table appservices (
  appservice_id text primary key,
  -- everything up to here was delivered
  stream_position bigint not null,
  -- its namespace of users, as appservice_members was filled by
  users text not null,
  -- lease of the transaction sender, and back-off after failures (milliseconds since 1970)
  leased_by text,
  leased_until bigint not null default 0,
  retry_ts bigint not null default 0,
  failures integer not null default 0,
  -- the transaction that is being sent; retries repeat it unchanged
  txn_id text,
  -- JSON
  txn_body text,
  -- the stream position up to which it goes
  txn_position bigint,
  -- message_nids of its send-to-device messages, which are deleted once it is delivered
  txn_messages bigint[]
);

-- The rooms that an application service's users have joined, as of its stream_position.
create table appservice_members (
  appservice_id text not null,
  room_id text not null,
  user_id text not null,
  primary key (appservice_id, room_id, user_id)
);

-- Rooms that application services publish in the directories of their third-party networks:
-- https://spec.matrix.org/v1.19/application-service-api/#published-room-directories
create table appservice_directory (
  room_id text not null,
  appservice_id text not null,
  network_id text not null,
  primary key (room_id, appservice_id, network_id)
);
create index appservice_directory_network on appservice_directory (appservice_id, network_id);
