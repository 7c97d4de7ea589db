-- Leave events of participants of calls that this server sends for them (MSC4195): docs/decisions/0023-delegated-leaves.md
create table delegated_leaves (
  -- the room and the participant's identity in LiveKit
  livekit_room text not null,
  identity text not null,
  -- may be a remote user
  user_id text not null,
  server_name text not null,
  -- of the client-server API of a remote user's server; null: the delayed event is in delayed_events
  base_url text,
  -- a secret: it allows to send, restart or cancel the delayed event
  delay_id text not null,
  delay_ms bigint not null,
  -- when the delayed event was last restarted
  restarted_ts bigint not null,
  -- whether LiveKit has had the participant since the event was handed over
  connected boolean not null,
  -- when the participant counts as gone, unless LiveKit has them
  gone_ts bigint not null,
  -- next time for a process to ask LiveKit, or when the lease of a process that asks ends
  ready_ts bigint not null,
  primary key (livekit_room, identity)
);
create index delegated_leaves_ready on delegated_leaves (ready_ts);
create index delegated_leaves_user on delegated_leaves (user_id);
create index delegated_leaves_server on delegated_leaves (server_name);

-- The last room in LiveKit that `hearth doctor --calls` has created, and whose webhook has arrived.
create table livekit_probe (
  is_only boolean primary key default true check (is_only),
  room text not null
);
