-- Who is there: https://spec.matrix.org/v1.19/client-server-api/#presence

create table presence (
  user_id text primary key,
  -- online, unavailable or offline: what others are told; follows from presence_devices and last_active_ts
  presence text not null,
  status_msg text,
  -- written at most once a minute for each process, and whenever `presence` changes
  last_active_ts bigint not null
);
create index presence_present on presence (last_active_ts) where presence <> 'offline';

-- What each device of a user says through each process, for as long as it is there. Worth nothing after a crash.
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

-- Processes that are alive; what devices said through others does not count.
create unlogged table presence_processes (
  process_id text primary key,
  seen_ts bigint not null
);

create index stream_presence on stream (stream_position) where kind = 'presence';
