-- Signing in on the pages of this server. Secrets are stored as hashes only: SHA-256 in base64url.

-- Browsers in which somebody has signed in, or passed the first of two steps. Others have a cookie but no row.
create table web_sessions (
  -- of the cookie; each step of a sign-in gives the browser a new one
  cookie_hash text primary key,
  -- null: the second step is missing
  user_id text references users,
  -- who has passed the first step and still has to pass the second; null: none is missing
  pending_user_id text references users,
  -- when the user last proved who they are
  authenticated_ts bigint not null,
  created_ts bigint not null,
  last_seen_ts bigint not null,
  last_seen_ip text,
  last_seen_user_agent text,
  expires_ts bigint not null,
  check ((user_id is null) <> (pending_user_id is null))
);
create index web_sessions_user on web_sessions (user_id, last_seen_ts);
create index web_sessions_pending on web_sessions (pending_user_id);
create index web_sessions_expiry on web_sessions (expires_ts);
