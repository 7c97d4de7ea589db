-- Who authenticates, so that each user has a bounded number of sessions; null: nobody knows yet, as at registration.
alter table uia_sessions add column user_id text;
create index uia_sessions_user on uia_sessions (user_id, expires_ts);
