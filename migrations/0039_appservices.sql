-- Application services, as far as they have been told of what happens: https://spec.matrix.org/v1.19/application-service-api/#pushing-events

-- A row for each that is sent transactions. The stream is its queue: what comes after stream_position it has not been told yet.
create table appservices (
  appservice_id text primary key,
  stream_position bigint not null,
  -- its namespace of users, as appservice_members was filled by
  users text not null,
  -- the process that tells it, and until when (milliseconds since 1970) nobody else may
  leased_by text,
  leased_until bigint not null default 0,
  -- after a failure it rests until then
  retry_ts bigint not null default 0,
  failures integer not null default 0,
  -- the transaction that is being sent: it stays the same until it is answered
  txn_id text,
  -- JSON
  txn_body text,
  -- up to where it tells of the stream
  txn_position bigint,
  -- messages to devices in it, which are dropped once it is answered
  txn_messages bigint[]
);

-- Which of an application service's users have joined which rooms, as of its stream_position.
create table appservice_members (
  appservice_id text not null,
  room_id text not null,
  user_id text not null,
  primary key (appservice_id, room_id, user_id)
);
