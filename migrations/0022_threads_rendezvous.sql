-- Which threads users follow (MSC4306). An ended subscription stays, for it must not be begun anew by what happened before its end.
create table thread_subscriptions (
  user_id text not null,
  room_id text not null,
  -- the event_id of the thread's root
  thread_id text not null,
  subscribed boolean not null,
  -- begun by the client because of an event in the thread, not by the user
  automatic boolean not null,
  -- when it ended last: the event_order of the room's newest event then
  ended_order bigint,
  -- the stream row of kind 'thread_subscription' whose `ref` this is gives the place of the last change
  change_nid bigint generated always as identity,
  primary key (user_id, room_id, thread_id)
);
create index thread_subscriptions_user on thread_subscriptions (user_id, change_nid);
create index thread_subscriptions_thread on thread_subscriptions (room_id, thread_id) where subscribed;
create index stream_thread_subscription on stream (ref) where kind = 'thread_subscription';

-- Where two devices leave messages for each other when one of them signs the other in (MSC4108, MSC4388).
create table rendezvous_sessions (
  session_id text primary key,
  -- the address or user that began it
  creator text not null,
  content text not null,
  content_type text not null,
  -- changes with the content: who writes has to name the one that is to be replaced
  sequence_token text not null,
  changed_ts bigint not null,
  expires_ts bigint not null
);
create index rendezvous_sessions_expiry on rendezvous_sessions (expires_ts);
create index rendezvous_sessions_creator on rendezvous_sessions (creator);

-- A pusher that its user has switched off gets nothing (MSC3881).
alter table pushers add column enabled boolean not null default true;
