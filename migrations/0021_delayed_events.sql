-- Events that clients have asked to be sent later (MSC4140), and what became of them.
create table delayed_events (
  -- whoever knows it may send, restart or cancel the event
  delay_id text primary key,
  user_id text not null references users,
  -- '' for application services without a device
  device_id text not null,
  room_id text not null,
  type text not null,
  -- present: a state event
  state_key text,
  -- JSON
  content text not null,
  -- it is due delay_ms milliseconds after since_ts (milliseconds since 1970), which is when it was scheduled or last restarted
  delay_ms bigint not null,
  since_ts bigint not null,
  -- the client's transaction
  txn_id text,
  -- when to look at it next: when it is due, when a process that tried and died has to be done, or when to try again
  ready_ts bigint not null,
  -- when it was sent (event_id), cancelled (neither) or had failed for good (error: JSON of the error)
  finalised_ts bigint,
  event_id text,
  error text
);
create index delayed_events_ready on delayed_events (ready_ts) where finalised_ts is null;
create index delayed_events_user on delayed_events (user_id, finalised_ts);
create unique index delayed_events_transaction on delayed_events (user_id, device_id, room_id, type, txn_id) where txn_id is not null;

-- The delayed event that became this event, for `unsigned` of what its sender gets.
alter table events add column delay_id text;
