-- Events of other servers that have been acknowledged and wait to be worked off, in order for each room.
create table federation_inbox (
  inbox_nid bigint generated always as identity primary key,
  room_id text not null,
  event_id text not null unique,
  -- the server that sent it to us, which is asked for what it refers to
  origin text not null,
  -- JSON of the verified PDU
  pdu text not null,
  received_ts bigint not null,
  -- how often it has been sent to us while it waited
  arrivals integer not null default 1,
  attempts integer not null default 0,
  -- after a failure it rests until then
  retry_ts bigint not null default 0
);
create index federation_inbox_room on federation_inbox (room_id, inbox_nid);

-- Rooms for which something waits. Whoever holds the lease works it off; without a holder: not before leased_until.
create table federation_inbox_rooms (
  room_id text primary key,
  leased_by text,
  leased_until bigint not null default 0,
  -- counts arrivals, so that who ends its work notices that there is more
  arrivals bigint not null default 1
);
create index federation_inbox_rooms_due on federation_inbox_rooms (leased_until);

-- Transactions that have been answered: when they are repeated the answer is the same.
create table federation_transactions (
  origin text not null,
  txn_id text not null,
  received_ts bigint not null,
  -- JSON
  answer text not null,
  primary key (origin, txn_id)
);
create index federation_transactions_received on federation_transactions (received_ts);
