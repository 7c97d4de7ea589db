-- Numeric ids ("nids") of events and state packs. A process takes 256 at once, so that an id is known before its row is written.
create sequence nids increment by 256;

-- The one number line of all streams; values are given out only under the stream lock, so a visible position has no invisible one below it.
create sequence stream_positions;

create table server_secrets (
  name text primary key,
  value text not null
);

-- What changes with every event of a room; kept apart from `rooms` so that the hot row stays small. Its row lock is the room's lock.
create table room_heads (
  room_id text primary key,
  room_version text not null,
  create_nid bigint not null,
  -- address of the current state's root in state_packs
  state_root bigint not null,
  depth bigint not null,
  -- event_order of the next live event
  next_order bigint not null,
  forward_extremities text[] not null
) with (fillfactor = 50);

-- What lists of rooms show; follows the current state in the same transaction.
create table rooms (
  room_id text primary key,
  room_version text not null,
  creator text not null,
  in_directory boolean not null default false,
  name text,
  topic text,
  canonical_alias text,
  avatar_url text,
  join_rule text,
  guest_access text,
  history_visibility text,
  room_type text,
  encryption text,
  tombstone text,
  joined_members integer not null default 0,
  invited_members integer not null default 0
);
create index rooms_in_directory on rooms (joined_members desc, room_id) where in_directory;

create table events (
  event_nid bigint primary key,
  event_id text not null unique,
  room_id text not null,
  -- place in the room's timeline: live events count up from 1, backfilled ones down from 0; null for outliers and rejected events
  event_order bigint,
  type text not null,
  state_key text,
  sender text not null,
  origin_server_ts bigint not null,
  depth bigint not null,
  -- the PDU as it is served to other servers; the redacted form once it is redacted
  json text not null,
  -- roots in state_packs; null for outliers
  state_before bigint,
  state_after bigint,
  -- why the authorisation rules refused it; such events are never served
  rejected text,
  soft_failed boolean not null default false,
  -- the event id of the redaction that emptied it
  redacted_by text,
  relates_to text,
  rel_type text,
  -- the client's transaction, so that a repeated request finds its event and its device sees `unsigned.transaction_id`
  txn_device_id text,
  txn_id text
);
create unique index events_timeline on events (room_id, event_order) where event_order is not null;
create unique index events_transaction on events (sender, txn_device_id, room_id, type, txn_id) where txn_id is not null;
create index events_relations on events (relates_to, rel_type, event_order) where relates_to is not null;

-- Room state: nodes of persistent tries, several to a row ("pack"); an address is pack_nid * 64 + the node's index in the pack.
create table state_packs (
  pack_nid bigint primary key,
  room_id text not null,
  nodes bytea not null
);
create index state_packs_room on state_packs (room_id);

-- The current membership of each user in each room.
create table room_memberships (
  room_id text not null,
  user_id text not null,
  membership text not null,
  event_nid bigint not null,
  displayname text,
  avatar_url text,
  forgotten boolean not null default false,
  primary key (room_id, user_id)
);
create index room_memberships_user on room_memberships (user_id, membership);

create table room_aliases (
  room_alias text primary key,
  room_id text not null,
  creator text not null
);
create index room_aliases_room on room_aliases (room_id);

-- What happened, in commit order: each row says where to look. Sync, push, federation and application services follow it.
create table stream (
  stream_position bigint primary key,
  kind text not null,
  room_id text,
  user_id text,
  -- the event's nid for kind 'event'; free for other kinds
  ref bigint,
  -- a short word that spares a look-up: the membership for member events, the account data type, ...
  detail text
);
create index stream_room on stream (room_id, stream_position) where room_id is not null;
create index stream_user on stream (user_id, stream_position) where user_id is not null;

-- Serialises position hand-out until commit: a reader that sees position n sees all below it.
create function append_to_stream(kinds text[], room_ids text[], user_ids text[], refs bigint[], details text[]) returns bigint
language plpgsql as $$
declare last_position bigint;
begin
  perform pg_advisory_xact_lock(7241980);
  insert into stream (stream_position, kind, room_id, user_id, ref, detail)
  select nextval('stream_positions'), kind, room_id, user_id, ref, detail
  from unnest(kinds, room_ids, user_ids, refs, details) with ordinality as rows(kind, room_id, user_id, ref, detail, place)
  order by place;
  select last_value into last_position from stream_positions;
  return last_position;
end $$;
