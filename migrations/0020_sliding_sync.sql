-- Connections of sliding sync: what each has been told, so that any process can go on with it.
create table sliding_connections (
  connection_nid bigint primary key generated always as identity,
  user_id text not null,
  -- empty for application services that act without a device
  device_id text not null,
  conn_id text not null,
  -- how many answers changed what the connection knows
  issued bigint not null default 0,
  -- the number of the last of them, and that of the answer on which it builds, which the client has got
  answer bigint not null default 0,
  base_answer bigint not null default 0,
  -- the room configurations that sliding_rooms names by their place: a JSON array
  configs text not null default '[]',
  -- what the client asked for, all but `pos`: a hash
  shape text not null default '',
  -- milliseconds since 1970
  used_ts bigint not null,
  unique (user_id, device_id, conn_id)
);
create index sliding_connections_used on sliding_connections (used_ts);

-- What a connection knows of a room: as of the answer `answer`, or as of before it if the client did not get that (the columns that begin in old_).
create table sliding_rooms (
  connection_nid bigint not null references sliding_connections on delete cascade,
  room_id text not null,
  answer bigint not null,
  -- '': nothing
  membership text not null,
  state_root bigint not null,
  event_order bigint not null,
  -- how many events it has at the end of the timeline without a gap
  events integer not null,
  config integer not null,
  -- bits: storage/sliding-sync-schema.ts
  flags integer not null,
  old_membership text not null default '',
  old_state_root bigint not null default 0,
  old_event_order bigint not null default 0,
  old_events integer not null default 0,
  old_config integer not null default 0,
  old_flags integer not null default 0,
  primary key (connection_nid, room_id)
) with (fillfactor = 80);
