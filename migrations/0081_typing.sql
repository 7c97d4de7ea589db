-- Clients that were told of it have to be told of its end, also after a crash.
alter table typing set logged;
-- The device through which the user types; empty where it is not known, as of users of other servers.
alter table typing add column device_id text not null default '';
