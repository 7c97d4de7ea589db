-- Load of the server over time, and alerts. Design: docs/decisions/0025-figures.md

-- Processes that collect figures. A process takes the smallest number whose lease has ended, so numbers do not
-- accumulate.
create table figure_processes (
  process integer primary key check (process > 0),
  -- random, of the process that has the number
  holder text not null,
  -- when another process may take the number (milliseconds since 1970)
  leased_until bigint not null,
  host text not null,
  pid integer not null,
  version text not null,
  started_ts bigint not null
);

-- Figures of a process in a step of time. Steps are short for the last hour; longer ones are made of them, and they are
-- deleted (src/core/figures/tiers.ts). The rows of one resolution cover all of its time.
create table figures (
  -- length of the step in seconds
  resolution integer not null,
  -- start of the step, a multiple of the resolution
  step_ts bigint not null,
  -- number in figure_processes; 0: the server as a whole
  process integer not null,
  -- JSON: values by name, and durations of requests and statements
  load text not null,
  -- JSON: requests, seconds, bytes and durations by route, by kind of client, and by remote server; those with the most
  -- traffic, and under '' the sum of all others. Null: rows of process 0 have those of all processes.
  routes text,
  clients text,
  peers text,
  primary key (resolution, step_ts, process)
);

-- One row: the upkeep of figures, by one process at a time, which locks the row.
create table figure_upkeep (
  only_row boolean primary key default true check (only_row),
  -- when it is due
  due_ts bigint not null default 0,
  -- when the figures that take long to find are due
  slow_due_ts bigint not null default 0,
  -- JSON object: by resolution, the time before which its steps have been made of shorter ones
  done text not null default '{}'
);
insert into figure_upkeep default values;

-- Conditions that administrators are alerted to: docs/administration.md. One row for each time that one occurs.
create table alerts (
  alert_nid bigint generated always as identity primary key,
  -- such as disk or pool_wait
  kind text not null,
  -- the host or process that has the condition; '': the server as a whole
  subject text not null,
  begun_ts bigint not null,
  -- when the condition last held
  seen_ts bigint not null,
  -- null: it holds
  ended_ts bigint,
  -- what was measured, in the unit of the kind
  value double precision not null
);
create unique index alerts_active on alerts (kind, subject) where ended_ts is null;
