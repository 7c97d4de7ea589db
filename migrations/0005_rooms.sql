-- Rooms: state, events, memberships, and what users do in them.

-- Columns that change with every event of a room, apart from `rooms` to keep the hot row small. A lock on the row locks
-- the room.
create table room_heads (
  room_id text primary key,
  room_version text not null,
  create_nid bigint not null,
  -- address of the current state's root in state_packs
  state_root bigint not null,
  depth bigint not null,
  -- event_order of the next live event
  next_order bigint not null,
  forward_extremities text[] not null,
  -- whether room_servers has rows of the room; if not, sending an event skips the look-up
  has_other_servers boolean not null default false,
  -- whether partial_rooms has the room
  is_partial boolean not null default false,
  -- counts how often the states of the room's events were computed again; caches of older counts are invalid
  recomputations integer not null default 0,
  -- depth of the event with which this server last joined the room: older events are history and do not become forward
  -- extremities
  begin_depth bigint not null default 0,
  -- order of rooms in lists, by the sequence room_activity: at the last event, and at the last bump event
  -- (core/rooms/bump-types.ts)
  activity bigint not null default 0,
  bump bigint not null default 0,
  -- until when the room has sticky events, at most (milliseconds since 1970): rooms without any need no look-up
  sticky_until bigint not null default 0
) with (fillfactor = 50);

-- The data of rooms in directories and summaries. Updated in the transaction that changes the current state.
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
  -- of m.room.retention, in milliseconds
  max_lifetime bigint,
  min_lifetime bigint,
  -- whether users of other servers may be in it
  federatable boolean not null default true,
  joined_members integer not null default 0,
  invited_members integer not null default 0,
  joined_local_members integer not null default 0,
  -- events of the current state: of users, whatever their membership, and all others
  member_events integer not null default 0,
  other_state_events integer not null default 0
);
-- Rooms whose messages expire, and rooms to delete some time after all local users have left.
create index rooms_expiring on rooms (room_id) where max_lifetime is not null or min_lifetime is not null;
create index rooms_without_local_users on rooms (room_id) where joined_local_members = 0;
create index rooms_in_directory on rooms (joined_members desc, room_id) where in_directory;
-- Finds out whether a file is an avatar, before it is deleted. A hash takes texts of any length.
create index rooms_avatar on rooms using hash (avatar_url) where avatar_url is not null;

create table room_aliases (
  room_alias text primary key,
  room_id text not null,
  creator text not null
);
create index room_aliases_room on room_aliases (room_id);

create table events (
  event_nid bigint primary key,
  event_id text not null unique,
  room_id text not null,
  -- place in the room's timeline: live events count up from 1, backfilled ones down from 0; null for outliers and
  -- rejected events
  event_order bigint,
  type text not null,
  state_key text,
  sender text not null,
  origin_server_ts bigint not null,
  depth bigint not null,
  -- the PDU as it is served to other servers; in redacted form once the event is redacted
  json text not null,
  -- roots in state_packs of the state before and after the event; null for outliers
  state_before bigint,
  state_after bigint,
  -- roots of the room's current state before and after the event was added, where they differ from the two above: the
  -- room had forked, and its current state is the resolution of all forks
  room_before bigint,
  room_after bigint,
  -- why the authorisation rules refused it; rejected events are never served
  rejected text,
  soft_failed boolean not null default false,
  -- why it is, or was, soft-failed
  soft_failed_reason text,
  -- event id of the redaction
  redacted_by text,
  relates_to text,
  rel_type text,
  -- the client's transaction: a repeated request finds its event, and the device sees `unsigned.transaction_id`
  txn_device_id text,
  txn_id text,
  -- the delayed event that became this event, for `unsigned` to its sender
  delay_id text
);
create unique index events_timeline on events (room_id, event_order) where event_order is not null;
create unique index events_transaction on events (sender, txn_device_id, room_id, type, txn_id)
  where txn_id is not null;
create index events_relations on events (relates_to, rel_type, event_order) where relates_to is not null;
-- The list of a room's threads.
create index events_threads on events (room_id, relates_to, event_order) where rel_type = 'm.thread';
-- Finds the event at a time.
create index events_time on events (room_id, origin_server_ts, event_order) where event_order is not null;

-- Finds the events of a room that are not in its timeline, to delete them with the room.
create index events_outside on events (room_id) where event_order is null;

-- Lists refused events for administrators.
create index events_refused on events (event_nid) where rejected is not null or soft_failed;
create index events_refused_of_room on events (room_id, event_nid) where rejected is not null or soft_failed;

-- Counts the invites and joins of a user.
create index events_members on events (sender, origin_server_ts) where type = 'm.room.member' and event_order is not null;

-- Rooms that administrators have blocked: no local user can join them or be invited. This server need not know them.
create table room_blocks (
  room_id text primary key,
  -- the administrator
  blocked_by text not null,
  blocked_ts bigint not null
);

-- Prev events of accepted timeline events that are not in the timeline: here history has a gap, or begins.
create table missing_prev_events (
  room_id text not null,
  event_id text not null,
  -- event_order of an event that references it
  referrer_order bigint not null,
  primary key (room_id, event_id)
);
create index missing_prev_events_order on missing_prev_events (room_id, referrer_order);

-- Redactions of events that this server does not have yet.
create table early_redactions (
  redacts text not null,
  event_id text not null,
  -- of the redaction
  room_id text not null,
  primary key (redacts, event_id)
);
create index early_redactions_room on early_redactions (room_id, event_id);

-- Events of the current state that were redacted. The state's event ids stay the same, so that only these rows tell a
-- client which knows the room that their contents changed.
create table redacted_state (
  room_id text not null,
  -- clients that know the timeline up to a lower event_order have not received the change
  event_order bigint not null,
  event_nid bigint not null,
  primary key (room_id, event_order, event_nid)
);

-- Room state: nodes of persistent tries, several in a row ("pack"). A node's address is pack_nid * 64 + its index in
-- the pack. Design: docs/decisions/0002-room-state-trie.md
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

-- Remote servers with joined members in a room, in step with room_memberships.
create table room_servers (
  room_id text not null,
  server_name text not null,
  joined_members integer not null,
  primary key (room_id, server_name)
);
create index room_servers_server on room_servers (server_name, room_id);

-- Remote joins under way. A room may have several, each through another server. Rows of a process that died expire.
create table room_joins (
  room_id text not null,
  join_id text not null,
  -- to verify events that other servers send during the join
  room_version text not null,
  expires_ts bigint not null,
  primary key (room_id, join_id)
);

-- Rooms joined with partial state: docs/decisions/0006-faster-joins.md
create table partial_rooms (
  room_id text primary key,
  -- the server that answered the join
  via text not null,
  -- the other servers in the room, as that server says. Until the state is complete, room_servers counts one more
  -- member for each than is known.
  servers text[] not null,
  -- end of the stream at the join
  since_position bigint not null,
  -- lease of the process that fetches the state, and back-off after failures (milliseconds since 1970)
  leased_by text,
  leased_until bigint not null default 0,
  retry_ts bigint not null default 0,
  failures integer not null default 0
);

-- Events of these rooms whose states are computed again once the state is complete, in the order of their arrival.
create table partial_events (
  place bigint generated always as identity primary key,
  room_id text not null,
  event_nid bigint not null unique,
  -- JSON, {event id: root in state_packs}: states after prev events, as other servers returned them
  received_states text not null,
  -- the event joined this server to the room: the states after its unknown prev events have to be fetched
  is_entry boolean not null
);
create index partial_events_room on partial_events (room_id, place);

-- Rooms that this server is not in, but its users have invites to or knocked on: servers to contact about them.
create table room_contacts (
  room_id text not null,
  user_id text not null,
  server_name text not null,
  primary key (room_id, user_id, server_name)
);

-- Stripped state of such rooms, as it came with an invite or the answer to a knock.
create table stripped_states (
  -- of the user's member event
  event_nid bigint primary key,
  -- JSON array
  events text not null
);

-- Versions of rooms that this server is not in, or left, as other servers report them.
create table out_of_band_rooms (
  room_id text primary key,
  room_version text not null
);

-- How far each user has read. A receipt only moves forward.
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

-- Users who are typing. Logged: clients that saw it must see its end, also after a crash of the database.
create table typing (
  room_id text not null,
  user_id text not null,
  -- the device on which the user types; empty where it is not known, as for remote users
  device_id text not null default '',
  expires_ts bigint not null,
  -- when the room's servers were last sent it: without a repeat, they end it by a timeout
  sent_ts bigint not null default 0,
  primary key (room_id, user_id)
);
create index typing_expiry on typing (expires_ts);

-- Threads that users follow (MSC4306). The row stays after an unsubscribe, so that earlier events do not subscribe the
-- user again.
create table thread_subscriptions (
  user_id text not null,
  room_id text not null,
  -- event id of the thread's root
  thread_id text not null,
  subscribed boolean not null,
  -- made by the client because of an event in the thread, not by the user
  automatic boolean not null,
  -- event_order of the room's newest event at the last unsubscribe
  ended_order bigint,
  -- `ref` of the stream row of kind 'thread_subscription' that has the place of the last change
  change_nid bigint generated always as identity,
  primary key (user_id, room_id, thread_id)
);
create index thread_subscriptions_user on thread_subscriptions (user_id, change_nid);
create index thread_subscriptions_thread on thread_subscriptions (room_id, thread_id) where subscribed;

-- Sticky events (MSC4354), soft-failed ones included; only unexpired ones count. Design: docs/decisions/0024-sticky-events.md
create table sticky_events (
  event_nid bigint primary key,
  room_id text not null,
  sender text not null,
  -- sent by a user of this server, which therefore has to send it to every server that joins
  is_ours boolean not null,
  soft_failed boolean not null,
  expires_ts bigint not null
);
create index sticky_events_room on sticky_events (room_id, sender, event_nid);
create index sticky_events_soft_failed on sticky_events (room_id, event_nid) where soft_failed;
create index sticky_events_expiry on sticky_events (expires_ts);

-- Delayed events (MSC4140) and their results: docs/decisions/0018-delayed-events.md
create table delayed_events (
  -- a secret: it allows to send, restart or cancel the event
  delay_id text primary key,
  user_id text not null references users,
  -- of the session, or the hash of a personal token without a device; empty for application services without one
  device_id text not null,
  room_id text not null,
  type text not null,
  -- null: not a state event
  state_key text,
  -- JSON
  content text not null,
  -- how long the event is sticky; null: it is not
  sticky_ms bigint,
  delay_ms bigint not null,
  -- when it was scheduled or last restarted; it is due delay_ms later
  since_ts bigint not null,
  -- the client's transaction
  txn_id text,
  -- whether the session that scheduled it had the rights of an administrator
  as_admin boolean not null,
  -- next time for a process to check it: when it is due, when the lease of a process that sends it ends, or when to
  -- retry
  ready_ts bigint not null,
  -- when it was sent (event_id is set), cancelled (neither is set) or failed for good (error is set: JSON)
  finalised_ts bigint,
  event_id text,
  error text
);
create index delayed_events_ready on delayed_events (ready_ts) where finalised_ts is null;
create index delayed_events_user on delayed_events (user_id, finalised_ts);
create unique index delayed_events_transaction on delayed_events (user_id, device_id, room_id, type, txn_id)
  where txn_id is not null;

-- The room in which the server sends notices to a user.
create table server_notice_rooms (
  user_id text primary key references users,
  room_id text not null
);
