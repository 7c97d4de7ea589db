-- When a medium of another server was last asked for here (milliseconds since 1970); null for our own. What nobody asks for any more goes.
alter table media add column accessed_ts bigint;
create index media_accessed on media (accessed_ts) where accessed_ts is not null;
