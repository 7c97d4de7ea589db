-- Receipts of other servers' users named threads that do not exist, without end.
delete from receipts where thread_id not in ('', 'main') and not exists (
  select 1 from events where events.event_id = receipts.thread_id and events.room_id = receipts.room_id);
