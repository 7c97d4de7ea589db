-- What users told the administrators about: an event (room_id and event_id), a room (room_id alone) or a user (reported_user).
create table reports (
  report_nid bigint generated always as identity primary key,
  received_ts bigint not null,
  reporter text not null,
  room_id text,
  event_id text,
  reported_user text,
  reason text,
  -- how offensive, from -100 to 0, as clients of before 1.18 say
  score integer,
  check ((reported_user is null) <> (room_id is null) and (event_id is null or room_id is not null))
);
create index reports_room on reports (room_id) where room_id is not null;
