-- Presence: docs/decisions/0017-presence.md

create table presence (
  user_id text primary key,
  -- online, unavailable or offline, as other users see it; follows from presence_devices and last_active_ts
  presence text not null,
  status_msg text,
  -- each process writes it at most once a minute, and whenever `presence` changes
  last_active_ts bigint not null,
  -- the last update from the user's server; null for users of this server
  heard_ts bigint
);
create index presence_present on presence (last_active_ts) where presence <> 'offline';
create index presence_heard on presence (heard_ts) where heard_ts is not null and presence <> 'offline';

-- The presence of each connected device, by process. Unlogged: worthless after a crash.
create unlogged table presence_devices (
  user_id text not null,
  -- empty for application services that act without a device
  device_id text not null,
  process_id text not null,
  -- online or unavailable
  presence text not null,
  primary key (user_id, device_id, process_id)
);
create index presence_devices_process on presence_devices (process_id);

-- Processes that are alive: presence_devices of other processes do not count.
create unlogged table presence_processes (
  process_id text primary key,
  seen_ts bigint not null
);
