-- Depth of the event with which this server came into the room (the last time): what is older is history, which makes no forks.
alter table room_heads add column begin_depth bigint not null default 0;
update room_heads set begin_depth = first.depth
  from (select distinct on (room_id) room_id, depth, type from events where event_order > 0 order by room_id, event_order) as first
  where first.room_id = room_heads.room_id and first.type <> 'm.room.create';
