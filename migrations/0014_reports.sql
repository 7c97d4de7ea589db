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
  -- open, resolved or dismissed, as administrators say
  state text not null default 'open' check (state in ('open', 'resolved', 'dismissed')),
  check ((reported_user is null) <> (room_id is null) and (event_id is null or room_id is not null))
);
create index reports_room on reports (room_id) where room_id is not null;
create index reports_state on reports (state, report_nid);
create index reports_user on reports (reported_user, report_nid) where reported_user is not null;
create index reports_reporter on reports (reporter, report_nid);

-- Acts of administrators on a report: each change of its state, and each note.
create table report_notes (
  note_nid bigint generated always as identity primary key,
  report_nid bigint not null references reports on delete cascade,
  written_ts bigint not null,
  -- the administrator
  author text not null,
  -- the new state; null: as before
  state text check (state in ('open', 'resolved', 'dismissed')),
  note text
);
create index report_notes_report on report_notes (report_nid, note_nid);
