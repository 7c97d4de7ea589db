-- Work that a transaction leaves to be done after it, such as leaving all rooms. It is done even if the process dies.
create table jobs (
  job_nid bigint generated always as identity primary key,
  kind text not null,
  -- what it is about: at most one job of a kind is queued for each key
  key text not null,
  -- JSON
  payload text not null,
  -- counts requests: a job that is requested while it runs runs again
  version integer not null default 1,
  created_ts bigint not null,
  due_ts bigint not null,
  attempts integer not null default 0,
  -- lease of the process that runs it (milliseconds since 1970)
  leased_by text,
  leased_until bigint not null default 0,
  unique (kind, key)
);
create index jobs_due on jobs (due_ts);
