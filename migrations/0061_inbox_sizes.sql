-- What a message counts for in its device's inbox, and all that came into the inbox up to and with it: the first and the last message tell how much
-- is in it. Where some were taken out of the middle that is too much; then the numbers are made anew (storage/full-inboxes.ts).
alter table to_device_messages add column bytes integer not null default 0;
alter table to_device_messages add column heaped bigint not null default 0;
update to_device_messages set bytes = octet_length(content) + octet_length(type) + octet_length(sender) + 200;
update to_device_messages set heaped = sums.heaped
from (select message_nid, sum(bytes) over (partition by user_id, device_id order by message_nid) as heaped
  from to_device_messages) as sums
where sums.message_nid = to_device_messages.message_nid;
