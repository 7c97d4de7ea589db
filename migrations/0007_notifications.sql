-- Events that notify a user, found when the user first asks: what was put to the push rules need not be put to them again.
-- Whether the user has read them since is for the receipts to say; `is_read`: read by an event of the user's own.
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
  is_read boolean not null default false,
  primary key (user_id, room_id, event_order)
);
create index notifications_user on notifications (user_id, event_nid desc);

-- Up to which event_order a room's events have been put to a user's push rules.
create table notification_progress (
  user_id text not null,
  room_id text not null,
  counted_order bigint not null,
  primary key (user_id, room_id)
);

-- Where to send a user's notifications. A pusher goes with the device that set it, or with the access token where that has no device.
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
  -- notifications of events at or below this stream position are not for it
  since_position bigint not null,
  -- the process that sends to it now has it until then; a failing one rests until retry_ts (milliseconds since 1970)
  leased_until bigint not null default 0,
  retry_ts bigint not null default 0,
  failures integer not null default 0,
  -- the unread count that the gateway was told last
  told_unread integer,
  unique (user_id, app_id, pushkey),
  foreign key (user_id, device_id) references devices on delete cascade
);
create index pushers_key on pushers (app_id, pushkey);
create index pushers_device on pushers (user_id, device_id);
create index pushers_token on pushers (token_hash) where token_hash is not null;

-- What waits to be sent; without an event: the unread count alone.
create table push_queue (
  queue_nid bigint generated always as identity primary key,
  pusher_nid bigint not null references pushers on delete cascade,
  event_nid bigint,
  -- JSON of the tweaks
  tweaks text not null default '{}',
  highlight boolean not null default false,
  queued_ts bigint not null
);
create index push_queue_pusher on push_queue (pusher_nid, queue_nid);
create unique index push_queue_counts on push_queue (pusher_nid) where event_nid is null;

-- One row: up to where the stream has been put to the rules of users with pushers, and which process does so until when.
create table push_progress (
  only_row boolean primary key default true check (only_row),
  stream_position bigint not null default 0,
  leased_by text,
  leased_until bigint not null default 0
);
insert into push_progress default values;
