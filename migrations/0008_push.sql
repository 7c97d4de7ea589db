-- Push rules, unread counts and pushers.

-- Changes that users made to the default push rules, which are in the program.
create table push_rules (
  user_id text primary key references users,
  -- JSON
  overlay text not null
);

-- Events that notify a user. They are found when the user first asks, so that push rules run once per event.
-- Receipts decide which of them are unread.
create table notifications (
  user_id text not null,
  room_id text not null,
  event_order bigint not null,
  event_nid bigint not null,
  -- root of the event's thread or 'main'
  thread_id text not null,
  highlight boolean not null,
  -- JSON of the push rule's actions
  actions text not null,
  -- a later event of the user marks it as read
  is_read boolean not null default false,
  primary key (user_id, room_id, event_order)
);
create index notifications_user on notifications (user_id, event_nid desc);

-- The event_order up to which a user's push rules have run on a room's events.
create table notification_progress (
  user_id text not null,
  room_id text not null,
  counted_order bigint not null,
  primary key (user_id, room_id)
);

-- A pusher is deleted with the device that set it, or with the access token where that has no device.
create table pushers (
  pusher_nid bigint generated always as identity primary key,
  user_id text not null references users,
  app_id text not null,
  pushkey text not null,
  device_id text,
  token_hash text references access_tokens on delete cascade,
  kind text not null,
  app_display_name text not null,
  device_display_name text not null,
  profile_tag text,
  lang text not null,
  -- JSON
  data text not null,
  -- when the pushkey was last set, in seconds since 1970
  pushkey_ts bigint not null,
  -- events up to this stream position are not pushed
  since_position bigint not null,
  -- lease of the process that sends, and back-off after failures (milliseconds since 1970)
  leased_until bigint not null default 0,
  retry_ts bigint not null default 0,
  failures integer not null default 0,
  -- the unread count that was last sent
  sent_unread integer,
  unique (user_id, app_id, pushkey),
  foreign key (user_id, device_id) references devices on delete cascade
);
create index pushers_key on pushers (app_id, pushkey);
create index pushers_device on pushers (user_id, device_id);
create index pushers_token on pushers (token_hash) where token_hash is not null;

-- Notifications to send.
create table push_queue (
  queue_nid bigint generated always as identity primary key,
  pusher_nid bigint not null references pushers on delete cascade,
  -- null: the unread count alone
  event_nid bigint,
  -- JSON of the tweaks
  tweaks text not null default '{}',
  highlight boolean not null default false,
  queued_ts bigint not null
);
create index push_queue_pusher on push_queue (pusher_nid, queue_nid);
create unique index push_queue_counts on push_queue (pusher_nid) where event_nid is null;

-- One row: how far push rules have run on the stream for users with pushers, and the lease of the process that runs
-- them.
create table push_progress (
  only_row boolean primary key default true check (only_row),
  stream_position bigint not null default 0,
  leased_by text,
  leased_until bigint not null default 0
);
insert into push_progress default values;

-- For pushers of kind email: digests sent since the user last had read everything, and the time before which the next
-- is not sent.
create table email_digests (
  pusher_nid bigint primary key references pushers on delete cascade,
  mails_in_row integer not null,
  next_ts bigint not null
);
