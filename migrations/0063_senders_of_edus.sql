-- The local user whose messages to devices an EDU carries. When the outbox of a server is full, the EDUs of those users go who fill it most
-- (storage/full-outboxes.ts).
alter table federation_edus add column sender text;
