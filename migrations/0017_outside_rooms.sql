-- Servers through which users of this one are in touch with rooms that it is not in: who invited them, whom they knocked through.
create table room_contacts (
  room_id text not null,
  user_id text not null,
  server_name text not null,
  primary key (room_id, user_id, server_name)
);

-- What rooms that this server is not in told of themselves along with an invite, or the answer to a knock: a JSON list of stripped state.
create table told_states (
  event_nid bigint primary key,
  events text not null
);

-- The versions of rooms that this server is, or was, outside of, as other servers say.
create table outside_rooms (
  room_id text primary key,
  room_version text not null
);
