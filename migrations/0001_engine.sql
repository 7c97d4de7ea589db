-- The basis of all subjects: numbers, the stream, secrets and rate limits of the server.
--
-- In all migrations, columns that end in _ts are milliseconds since 1970. Columns that end in _nid ("numeric id") refer
-- to rows by the number that this database gave them.

-- nids of events and of state packs. A process reserves blocks of 256, so that an id is known before its row is
-- written.
create sequence nids increment by 256;

-- The log of changes in commit order. Sync, push, federation, search and application services follow it.
-- Design: docs/decisions/0001-stream-positions.md
create table stream (
  stream_position bigint primary key,
  -- such as event, receipt, typing, presence, account_data or to_device
  kind text not null,
  room_id text,
  user_id text,
  -- event_nid for kind 'event'; other kinds define their own meaning
  ref bigint,
  -- a short text that saves a look-up, such as the membership of a member event or the type of account data
  detail text
);
create index stream_room on stream (room_id, stream_position) where room_id is not null;
create index stream_user on stream (user_id, stream_position) where user_id is not null;
create index stream_presence on stream (stream_position) where kind = 'presence';
create index stream_to_device on stream (ref, stream_position) where kind = 'to_device';
create index stream_thread_subscription on stream (ref) where kind = 'thread_subscription';
create index stream_sticky on stream (ref) where kind = 'sticky';
create index stream_media_quarantine on stream (stream_position) where kind = 'media_quarantine';

-- Only append_to_stream takes values: under its lock, no position becomes visible before a smaller one.
create sequence stream_positions;

-- Appends rows and returns the position of the last one. Holds the stream lock until the transaction ends: a reader
-- that sees position n sees all positions below n.
create function append_to_stream(kinds text[], room_ids text[], user_ids text[], refs bigint[], details text[])
returns bigint language plpgsql as $$
declare last_position bigint;
begin
  perform pg_advisory_xact_lock(7241980);
  insert into stream (stream_position, kind, room_id, user_id, ref, detail)
  select nextval('stream_positions'), kind, room_id, user_id, ref, detail
  from unnest(kinds, room_ids, user_ids, refs, details) with ordinality
    as rows(kind, room_id, user_id, ref, detail, place)
  order by place;
  select last_value into last_position from stream_positions;
  return last_position;
end $$;

create table server_secrets (
  name text primary key,
  value text not null
);

-- Rate limits that all processes share. Unlogged: a crash of the database resets them.
-- Design: docs/decisions/0009-rate-limits.md
create unlogged table rate_limits (
  -- category and user or address
  key text primary key,
  -- when the full burst is available again, in milliseconds since 1970 by the database's clock
  full_ts double precision not null
);
