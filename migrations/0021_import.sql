-- The import from another server's database: docs/migrating-from-synapse.md

-- At most one row. While finished_ts is null, the server does not start.
create table imports (
  only_row boolean primary key default true check (only_row),
  -- what the source contained when the import began: a source that has changed since cannot be continued
  fingerprint text not null,
  started_ts bigint not null,
  finished_ts bigint
);

-- The parts of the import, each with its place in the source. Every batch moves its bookmark in its own transaction.
create table import_steps (
  step text primary key,
  -- JSON: where the next batch begins
  bookmark text not null,
  is_done boolean not null default false,
  -- rows of the source that were read, and rows that were stored
  rows_read bigint not null default 0,
  rows_stored bigint not null default 0
);
