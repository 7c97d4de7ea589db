-- Rooms that a process of this server is joining through another server: that one already sends what happens there.
create table room_joins (
  room_id text primary key,
  -- the process may have died on the way (milliseconds since 1970)
  expires_ts bigint not null
);
