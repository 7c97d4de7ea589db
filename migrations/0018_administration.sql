-- Acts of administrators.

-- Acts of administrators: changes by the admin API, and by commands on the server's machine.
create table audit_log (
  entry_nid bigint generated always as identity primary key,
  acted_ts bigint not null,
  -- user id; 'shared secret' for a registration by it; 'command line: NAME' with the name of the machine's account
  actor text not null,
  -- method and path of the endpoint, or the command
  action text not null,
  -- the user, room or other object that the act was about; null: none in particular
  target text,
  -- JSON object: parameters of the request, without secrets
  details text not null,
  -- network address of the request; null: the command line
  address text
);
create index audit_log_time on audit_log (acted_ts);
create index audit_log_actor on audit_log (actor, entry_nid);
create index audit_log_target on audit_log (target, entry_nid);

-- Long work that administrators begin: a job (0013_jobs.sql) of the same key does it. The row stays for a while, to say
-- what came of it.
create table tasks (
  -- random
  task_id text primary key,
  -- what is done, such as redact_user
  action text not null,
  -- the user or room that the task is about
  resource_id text,
  -- scheduled, active, complete, failed or cancelled
  status text not null,
  created_ts bigint not null,
  changed_ts bigint not null,
  -- JSON object: how far the task is, and what came of it
  result text not null,
  -- why it failed
  error text
);
create index tasks_resource on tasks (resource_id, created_ts);
create index tasks_changed on tasks (changed_ts);
