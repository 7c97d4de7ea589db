-- Each answer changes the row of its connection: with room beside it, and `used_ts` written once a minute at most, no index has to follow.
alter table sliding_connections set (fillfactor = 70);
-- The member events that a client which loads members lazily has been told since the timeline last had a gap: event_nids, the latest last.
alter table sliding_rooms add column members bigint[] not null default '{}';
alter table sliding_rooms add column old_members bigint[] not null default '{}';
