-- Which pieces of a room's current state redactions have emptied: their events are the same as before, so that nothing else tells a client which
-- knows the room as it was that they have changed.
create table redacted_state (
  room_id text not null,
  -- a client that knows the room's timeline up to a lower event_order has not been told yet
  event_order bigint not null,
  event_nid bigint not null,
  primary key (room_id, event_order, event_nid)
);

-- Until now redacted state lived on in what is computed from state: repaired by a job, for there may be many rooms.
insert into jobs (kind, key, payload, created_ts, due_ts)
  select 'repair_redactions', '', '{"after":0}', 0, 0 where exists (select 1 from events);
