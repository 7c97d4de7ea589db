-- Rooms that this server has joined, and of which it does not know all members yet: https://github.com/matrix-org/matrix-spec-proposals/pull/3902
create table partial_rooms (
  room_id text primary key,
  -- the server that answered the join
  via text not null,
  -- the other servers in the room, as that one told them; they are in room_servers, with one member more than is known, until the room is complete
  servers text[] not null,
  -- the end of the stream when the room was joined
  since_position bigint not null,
  -- the process that fetches the members has the room until then, unless it asks again (milliseconds since 1970)
  leased_by text,
  leased_until bigint not null default 0,
  retry_ts bigint not null default 0,
  failures integer not null default 0
);

-- The events of these rooms whose states are found anew once all members are known, in the order in which they were added.
create table partial_events (
  place bigint generated always as identity primary key,
  room_id text not null,
  event_nid bigint not null unique,
  -- roots in state_packs of the states after predecessors, as other servers told them: JSON, {event id: root}
  told_states text not null,
  -- a join that brought this server into the room: the states after its unknown predecessors have to be fetched
  is_entry boolean not null
);
create index partial_events_room on partial_events (room_id, place);

alter table room_heads add column is_partial boolean not null default false;
-- counts how often the states of the room's events were found anew: what processes remember of them is worth nothing since then
alter table room_heads add column restatements integer not null default 0;
