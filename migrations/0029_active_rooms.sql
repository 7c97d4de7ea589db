-- Rooms whose last events room_lists does not know yet: room_lists.activity of their members is that of an earlier event, that of all other joined rooms
-- is room_heads.activity. So an event costs nothing per member, and the first rooms of a list are found without looking at all of them: these few
-- rooms aside, an index has them in order. When there are too many, those with the oldest events are settled: written to room_lists.
create table active_rooms (
  room_id text primary key
);
update room_lists set activity = room_heads.activity from room_heads
  where room_heads.room_id = room_lists.room_id and room_lists.membership = 'join';
create index room_lists_order on room_lists (user_id, activity desc, room_id) include (membership, room_type, is_encrypted) where is_listed;
