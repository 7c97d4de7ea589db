-- Connections of sliding sync: the state that each client has received, so that any process can continue a connection.
-- Design: docs/decisions/0014-sliding-sync.md

-- Each answer updates the row of its connection. used_ts is written at most once a minute, so that with the free space
-- of the fill factor most updates touch no index.
create table sliding_connections (
  connection_nid bigint primary key generated always as identity,
  user_id text not null,
  -- empty for application services that act without a device
  device_id text not null,
  conn_id text not null,
  -- how many answers changed what the connection knows
  issued bigint not null default 0,
  -- number of the last such answer, and of the one before it, which the client has confirmed
  answer bigint not null default 0,
  base_answer bigint not null default 0,
  -- JSON array of room configurations; sliding_rooms refers to them by index
  configs text not null default '[]',
  -- hash of the client's request without `pos`
  shape text not null default '',
  used_ts bigint not null,
  unique (user_id, device_id, conn_id)
) with (fillfactor = 70);
create index sliding_connections_used on sliding_connections (used_ts);

-- The state of a room that a connection has received with `answer`. The columns that begin with old_ hold the values
-- before it, in case the client did not receive that answer.
create table sliding_rooms (
  connection_nid bigint not null references sliding_connections on delete cascade,
  room_id text not null,
  answer bigint not null,
  -- empty: nothing
  membership text not null,
  state_root bigint not null,
  event_order bigint not null,
  -- how many events the client has at the end of the timeline without a gap
  events integer not null,
  config integer not null,
  -- bits: KNOWN in src/storage
  flags integer not null,
  -- with lazy-loaded members: event_nids of the member events sent since the timeline's last gap, the latest last
  members bigint[] not null default '{}',
  old_membership text not null default '',
  old_state_root bigint not null default 0,
  old_event_order bigint not null default 0,
  old_events integer not null default 0,
  old_config integer not null default 0,
  old_flags integer not null default 0,
  old_members bigint[] not null default '{}',
  primary key (connection_nid, room_id)
) with (fillfactor = 80);
