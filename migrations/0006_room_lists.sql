-- Lists of rooms: the rooms of each user of this server, with the columns that lists sort and filter by. Triggers on
-- room_memberships, users and rooms keep room_lists in step, in the transaction of the change.

-- Grows with every event that clients receive: of two rooms, the one with the greater activity has the later event.
create sequence room_activity;

create table room_lists (
  user_id text not null,
  room_id text not null,
  membership text not null,
  event_nid bigint not null,
  forgotten boolean not null,
  -- whether the user was joined at any time; rooms that a user left without a join are not listed
  was_joined boolean not null,
  -- joined, invited, knocked, or removed by another user
  is_listed boolean not null,
  -- the room's activity for joined rooms that are not in active_rooms, otherwise at some earlier event; for other
  -- memberships, when the membership began
  activity bigint not null,
  room_type text,
  is_encrypted boolean not null default false,
  primary key (user_id, room_id)
);
-- Includes the user, so that either index finds a user's entry in a room directly, whichever one the planner chooses.
create index room_lists_room on room_lists (room_id, user_id);
create index room_lists_order on room_lists (user_id, activity desc, room_id)
  include (membership, room_type, is_encrypted) where is_listed;

-- Rooms whose last events are not in room_lists.activity yet. So an event costs nothing per member, and a list is read
-- in order of the index, with these few rooms merged in. When there are too many, those with the oldest events are
-- written to room_lists.
create table active_rooms (
  room_id text primary key
);

create function follow_members(room_ids text[], user_ids text[]) returns void language plpgsql as $$
begin
  insert into room_lists (user_id, room_id, membership, event_nid, forgotten, was_joined, is_listed, activity,
    room_type, is_encrypted)
  select user_id, room_id, member.membership, member.event_nid, member.forgotten, member.membership = 'join',
    member.membership in ('join', 'invite', 'knock'), nextval('room_activity'),
    rooms.room_type, rooms.encryption is not null
  from unnest(room_ids, user_ids) as changed(room_id, user_id)
    join users using (user_id)
    join room_memberships as member using (room_id, user_id)
    left join rooms using (room_id)
  on conflict (user_id, room_id) do update set membership = excluded.membership, event_nid = excluded.event_nid,
    forgotten = excluded.forgotten, was_joined = room_lists.was_joined or excluded.was_joined,
    is_listed = not excluded.forgotten and (excluded.is_listed
      or (room_lists.was_joined or room_lists.membership in ('invite', 'knock') or room_lists.is_listed)
        and (select sender from events where event_nid = excluded.event_nid) is distinct from excluded.user_id),
    activity = case when room_lists.event_nid = excluded.event_nid then room_lists.activity else excluded.activity end;
end $$;

create function follow_memberships() returns trigger language plpgsql as $$
begin
  perform follow_members(array_agg(room_id), array_agg(user_id)) from changed;
  return null;
end $$;
create trigger room_lists_insert after insert on room_memberships referencing new table as changed
  for each statement execute function follow_memberships();
create trigger room_lists_update after update on room_memberships referencing new table as changed
  for each statement execute function follow_memberships();

create function follow_lost_memberships() returns trigger language plpgsql as $$
begin
  delete from room_lists using changed
    where room_lists.user_id = changed.user_id and room_lists.room_id = changed.room_id;
  return null;
end $$;
create trigger room_lists_delete after delete on room_memberships referencing old table as changed
  for each statement execute function follow_lost_memberships();

-- A user id can be invited before the user is registered.
create function follow_users() returns trigger language plpgsql as $$
begin
  perform follow_members(array_agg(room_id), array_agg(user_id)) from room_memberships join changed using (user_id);
  return null;
end $$;
create trigger room_lists_users after insert on users referencing new table as changed
  for each statement execute function follow_users();

create function follow_rooms() returns trigger language plpgsql as $$
begin
  update room_lists set room_type = new.room_type, is_encrypted = new.encryption is not null
    where room_id = new.room_id;
  return null;
end $$;
create trigger room_lists_new_rooms after insert on rooms for each row execute function follow_rooms();
create trigger room_lists_rooms after update of encryption, room_type on rooms for each row
  when (old.encryption is distinct from new.encryption or old.room_type is distinct from new.room_type)
  execute function follow_rooms();
