-- Joins that are under way, for several of one room may be, each through another server. Their processes may have died on the way.
drop table room_joins;
create table room_joins (
  room_id text not null,
  join_id text not null,
  -- what other servers send meanwhile is verified by it
  room_version text not null,
  -- milliseconds since 1970
  expires_ts bigint not null,
  primary key (room_id, join_id)
);

-- It came while the room was being joined: whether its server may send into it could not be told.
alter table federation_inbox add column is_early boolean not null default false;
