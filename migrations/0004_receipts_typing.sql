-- How far each user has read: one row for each (user, kind of receipt, thread), which only moves forward.
create table receipts (
  room_id text not null,
  user_id text not null,
  receipt_type text not null,
  -- root of a thread or 'main'; empty for unthreaded receipts
  thread_id text not null default '',
  event_id text not null,
  -- event_order of the event, by which receipts are compared
  event_order bigint not null,
  ts bigint not null,
  primary key (room_id, user_id, receipt_type, thread_id)
);
create index receipts_user on receipts (user_id, room_id);

-- Who is typing until when (milliseconds since 1970). Worth nothing after a crash.
create unlogged table typing (
  room_id text not null,
  user_id text not null,
  expires_ts bigint not null,
  primary key (room_id, user_id)
);
create index typing_expiry on typing (expires_ts);

-- For the list of a room's threads, and for finding the event of a time.
create index events_threads on events (room_id, relates_to, event_order) where rel_type = 'm.thread';
create index events_time on events (room_id, origin_server_ts, event_order) where event_order is not null;
