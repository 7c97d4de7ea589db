-- Deletion of rooms: docs/administration.md, section "Delete a room".

-- Rooms that are gone for everybody, and whose rows are being deleted. Until that ends, nobody can enter them again.
create table room_removals (
  room_id text primary key
);

-- Local users who were in rooms that were deleted. Clients learn of it by a stream row of kind 'departure'.
create table room_departures (
  user_id text not null,
  room_id text not null,
  -- JSON: the user's last member event, a leave or ban, in the client format without room_id
  event text not null,
  departed_ts bigint not null,
  primary key (user_id, room_id)
);
create index room_departures_room on room_departures (room_id);
create index room_departures_time on room_departures (departed_ts);
