-- Reports to the administrators: of an event (room_id and event_id), a room (room_id alone) or a user (reported_user).
create table reports (
  report_nid bigint generated always as identity primary key,
  received_ts bigint not null,
  reporter text not null,
  room_id text,
  event_id text,
  reported_user text,
  reason text,
  -- from -100 (most offensive) to 0, as clients before specification 1.18 send it
  score integer,
  check ((reported_user is null) <> (room_id is null) and (event_id is null or room_id is not null))
);
create index reports_room on reports (room_id) where room_id is not null;
