-- Whoever looks for a user's entry of a room finds it by either index, so that it does not matter which one the database takes: in rooms with many members,
-- one by room alone has many entries.
drop index room_lists_room;
create index room_lists_room on room_lists (room_id, user_id);
