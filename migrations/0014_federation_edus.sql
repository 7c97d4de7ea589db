-- What other servers tell of their users beside events: https://spec.matrix.org/v1.19/server-server-api/#edus

-- When another server last told it; null for users of this server.
alter table presence add column heard_ts bigint;
create index presence_heard on presence (heard_ts) where heard_ts is not null and presence <> 'offline';

-- When the room was last told: other servers forget who types unless they are told again.
alter table typing add column told_ts bigint not null default 0;

-- Messages to devices that have been received; one that comes again changes nothing.
create table received_messages (
  origin text not null,
  message_id text not null,
  received_ts bigint not null,
  primary key (origin, message_id)
);
create index received_messages_time on received_messages (received_ts);

-- Users of this server whose device lists other servers have been told of, and up to which change.
create table device_list_streams (
  user_id text primary key,
  stream_id bigint not null
);

-- Device lists of other servers' users, of as many as have been asked for; cross-signing keys are in cross_signing_keys, as ours are.
create table remote_device_lists (
  user_id text primary key,
  server_name text not null,
  -- the change that the list is true of; null: it has not been fetched yet
  stream_id bigint,
  -- a change has been missed: the list has to be fetched again
  is_stale boolean not null,
  -- counts the changes of this row, so that a fetch that began before one does not take it for its own
  version bigint not null default 0,
  -- whoever fetches it has it until then; after a failure it rests until retry_ts (milliseconds since 1970)
  leased_until bigint not null default 0,
  retry_ts bigint not null default 0,
  failures integer not null default 0
);
create index remote_device_lists_stale on remote_device_lists (retry_ts) where is_stale;

create table remote_device_keys (
  user_id text not null references remote_device_lists on delete cascade,
  device_id text not null,
  key_json text not null,
  display_name text,
  primary key (user_id, device_id)
);

-- Following the stream takes one transaction, whose lock on the row is all the lease it needs.
alter table federation_progress drop column leased_by;
alter table federation_progress drop column leased_until;
-- When other servers were last told again who is there.
alter table federation_progress add column presence_ts bigint not null default 0;
