-- Guests had to leave only when a moderator of this server revoked their access.
insert into jobs (kind, key, payload, created_ts, due_ts)
  select distinct 'remove_guests', room_id, json_build_object('room_id', room_id)::text, 0::bigint, 0::bigint
  from room_memberships join users using (user_id) join rooms using (room_id)
  where is_guest and membership = 'join' and guest_access is distinct from 'can_join'
on conflict (kind, key) do nothing;
