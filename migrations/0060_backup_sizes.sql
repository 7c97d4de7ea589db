-- How many keys a backup has, and their bytes with the names of rooms and sessions: kept with each change, for backups are large.
alter table key_backups add column key_count bigint not null default 0;
alter table key_backups add column key_bytes bigint not null default 0;
update key_backups set key_count = held.keys, key_bytes = held.bytes
from (select user_id, version, count(*) as keys,
    sum(octet_length(session_data) + octet_length(room_id) + octet_length(session_id)) as bytes
  from key_backup_sessions group by user_id, version) as held
where held.user_id = key_backups.user_id and held.version = key_backups.version;
