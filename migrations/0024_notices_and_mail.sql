-- The room in which the server speaks to a user: one for each.
create table server_notice_rooms (
  user_id text primary key references users,
  room_id text not null
);

-- Addresses outside of Matrix that are known to be a user's: an address is of one user at most.
create table threepids (
  medium text not null,
  address text not null,
  user_id text not null references users,
  validated_ts bigint not null,
  added_ts bigint not null,
  primary key (medium, address)
);
create index threepids_user on threepids (user_id);

-- Proofs of such an address: somebody gets a link by mail, and has followed it or not.
create table threepid_sessions (
  session_id text primary key,
  -- what it is for: 'add', 'register' or 'password'
  purpose text not null,
  medium text not null,
  address text not null,
  client_secret text not null,
  -- SHA-256 of what the link holds
  token_hash text not null,
  send_attempt bigint not null,
  next_link text,
  validated_ts bigint,
  expires_ts bigint not null,
  unique (purpose, medium, address, client_secret)
);
create index threepid_sessions_expiry on threepid_sessions (expires_ts);

-- For pushers of kind email: how many mails went out since the user last had read everything, and before when there is none.
create table email_digests (
  pusher_nid bigint primary key references pushers on delete cascade,
  mails_in_row integer not null,
  next_ts bigint not null
);
