-- What has to be done after the transaction that asked for it, and done even if the process dies: leaving all rooms, changing a name in all of them.
create table jobs (
  job_nid bigint generated always as identity primary key,
  kind text not null,
  -- what it is about: of one kind, one job for each key waits at most
  key text not null,
  -- JSON
  payload text not null,
  -- counts how often it was asked for: a job that was asked for again while it ran runs again
  version integer not null default 1,
  created_ts bigint not null,
  due_ts bigint not null,
  attempts integer not null default 0,
  -- the process that runs it has it until then, unless it asks again
  leased_by text,
  leased_until bigint not null default 0,
  unique (kind, key)
);
create index jobs_due on jobs (due_ts);

-- What several processes have counted together for rate limits; it may go with a crash of the database.
create unlogged table rate_limits (
  key text primary key,
  points integer not null,
  expire bigint
);
