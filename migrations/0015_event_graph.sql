-- Roots of the room's current state when the event was added, before and after that, where they are other than state_before and state_after:
-- the room had forked, and the current state is what the states of all forks resolve to.
alter table events add column room_before bigint;
alter table events add column room_after bigint;

-- Events that accepted events of the timeline name as their predecessors and that are not in the timeline: where history has gaps, or begins.
create table missing_prev_events (
  room_id text not null,
  event_id text not null,
  -- event_order of an event that names it
  referrer_order bigint not null,
  primary key (room_id, event_id)
);
create index missing_prev_events_order on missing_prev_events (room_id, referrer_order);

-- Redactions of events that were not here yet.
create table early_redactions (
  redacts text not null,
  event_id text not null,
  primary key (redacts, event_id)
);
