-- Users of this server whose content was erased with their account, and each room that they had been in, as it was then: who had joined by then still sees what they sent.
create table erasures (
  user_id text not null,
  room_id text not null,
  -- root of the room's state at the erasure
  state_root bigint not null,
  primary key (user_id, room_id)
);
