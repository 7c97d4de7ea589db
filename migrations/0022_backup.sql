-- Restored backups: docs/backup.md

-- One row per restore. Positions between the two were given out after the backup and are lost: a client that has such a
-- position may know things that this database does not.
create table restores (
  restored_ts bigint not null,
  -- the last position of the backup
  lost_after bigint primary key,
  -- the first position after the restore
  resumed_at bigint not null
);
