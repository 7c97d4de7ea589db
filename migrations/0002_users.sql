-- Accounts and what belongs to a user alone. Secrets are stored as hashes only: SHA-256 in base64url.

create table users (
  user_id text primary key,
  -- PHC format; null: the user cannot log in with a password of this server
  password_hash text,
  -- whether the LDAP directory checks the password
  in_directory boolean not null default false,
  is_admin boolean not null default false,
  is_guest boolean not null default false,
  locked boolean not null default false,
  -- when it was locked; null: it is not, or the time is unknown
  locked_ts bigint,
  suspended boolean not null default false,
  -- whether what the user sends reaches nobody, without the user's knowledge
  shadow_banned boolean not null default false,
  exempt_from_rate_limits boolean not null default false,
  created_ts bigint not null,
  -- the row of a deactivated user stays, so that the name cannot be registered again
  deactivated_ts bigint,
  erased boolean not null default false,
  -- when the account expires; null: never
  valid_until_ts bigint,
  -- when the link that renews the account was mailed, or the user shall get none; null: not yet
  renewal_mailed_ts bigint,
  -- whether the user wants mails about sign-ins
  sign_in_mails boolean not null default true,
  -- of mails to the user: that of the pages which the user saw last; null: unknown
  language text,
  -- such as 'bot' or 'support'; null: an ordinary user
  user_type text,
  -- the limit that replaces rate_limits.message for the user; null: none does. Events per second: 0: no limit
  messages_per_second integer,
  message_burst integer
);
create index users_admins on users (user_id) where is_admin;
create index users_created on users (created_ts, user_id);
-- The orders of the lists for administrators.
create index users_guests on users (is_guest, user_id);
create index users_by_admin on users (is_admin, user_id);
create index users_deactivated on users ((deactivated_ts is not null), user_id);
create index users_types on users (user_type, user_id);
create index users_locked on users (locked, user_id);
create index users_suspended on users (suspended, user_id);
create index users_shadow_banned on users (shadow_banned, user_id);
create index users_validity on users (valid_until_ts)
  where deactivated_ts is null and not is_guest and renewal_mailed_ts is null;

-- Links that renew accounts: https://element-hq.github.io/synapse/latest/admin_api/account_validity.html
create table account_renewals (
  user_id text primary key references users,
  token_hash text not null unique
);

-- Erased users, with each room that they had been in. Members who had joined by then still see the user's events.
create table erasures (
  user_id text not null,
  room_id text not null,
  -- root of the room's state at the erasure
  state_root bigint not null,
  primary key (user_id, room_id)
);

create table profiles (
  user_id text primary key references users,
  displayname text,
  avatar_url text,
  -- JSON object of all other fields
  fields text not null default '{}'
);
-- Further columns by which lists of users are sorted and searched. Triggers here and on devices keep the rows up.
create table listed_users (
  user_id text primary key,
  -- the first characters of the profile's
  displayname text,
  avatar_url text,
  -- the user ID and the displayname, in lower case
  searched text not null,
  -- when the user was last seen with any device
  last_seen_ts bigint
);
create index listed_users_displayname on listed_users (displayname collate "C", user_id);
create index listed_users_avatar on listed_users (avatar_url collate "C", user_id);
create index listed_users_seen on listed_users (last_seen_ts, user_id);

create function list_users() returns trigger language plpgsql as $$
begin
  insert into listed_users (user_id, searched) select user_id, lower(user_id) from changed;
  return null;
end $$;
create trigger users_listed after insert on users referencing new table as changed
  for each statement execute function list_users();

create function follow_profiles() returns trigger language plpgsql as $$
begin
  update listed_users set displayname = left(new.displayname, 100), avatar_url = left(new.avatar_url, 100),
    searched = lower(user_id) || E'\n' || coalesce(lower(left(new.displayname, 500)), '')
    where user_id = coalesce(new.user_id, old.user_id);
  return null;
end $$;
create trigger profiles_stored after insert on profiles for each row execute function follow_profiles();
create trigger profiles_changed after update on profiles for each row
  when (old.displayname is distinct from new.displayname or old.avatar_url is distinct from new.avatar_url)
  execute function follow_profiles();
create trigger profiles_deleted after delete on profiles for each row execute function follow_profiles();

create function forget_sightings() returns trigger language plpgsql as $$
begin
  update listed_users set last_seen_ts = null where user_id = new.user_id;
  return null;
end $$;
create trigger users_erased after update of erased on users for each row when (new.erased and not old.erased)
  execute function forget_sightings();

-- Finds out whether a file is an avatar, before it is deleted. A hash takes texts of any length.
create index profiles_avatar on profiles using hash (avatar_url) where avatar_url is not null;

create table account_data (
  user_id text not null references users,
  -- empty for global account data
  room_id text not null default '',
  type text not null,
  -- JSON
  content text not null,
  primary key (user_id, room_id, type)
);
create index account_data_room on account_data (room_id) where room_id <> '';

create table filters (
  user_id text not null references users,
  -- hash of the filter, so that equal filters are stored once
  filter_id text not null,
  -- JSON
  filter text not null,
  primary key (user_id, filter_id)
);

-- OpenID tokens, with which third parties verify a user.
create table openid_tokens (
  token_hash text primary key,
  user_id text not null references users,
  expires_ts bigint not null
);
create index openid_tokens_expiry on openid_tokens (expires_ts);

-- User-interactive authentication: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
create table uia_sessions (
  session_id text primary key,
  -- the authenticating user, to cap the sessions of a user; null at registration
  user_id text,
  -- method, path and user: the session is valid for this operation only
  operation text not null,
  -- JSON of the first request, without `auth` and passwords
  body text not null,
  -- PHC hash of the password that the first request sets; null: it sets none
  secret_hash text,
  -- JSON object: the result of each completed stage, by stage type
  completed text not null default '{}',
  -- whether a request uses the session or has used it: a session is good for one
  claimed boolean not null default false,
  -- JSON object: the result of that request, for a client that repeats it; null until it is done
  note text,
  expires_ts bigint not null
);
create index uia_sessions_expiry on uia_sessions (expires_ts);
create index uia_sessions_user on uia_sessions (user_id, expires_ts);

-- Nonces of registration by shared secret; each is used once.
create table registration_nonces (
  nonce text primary key,
  expires_ts bigint not null
);

create table registration_tokens (
  token text primary key,
  -- null: no limit
  uses_allowed integer,
  uses_completed integer not null default 0,
  created_ts bigint not null,
  -- when it was used last; null: never
  last_used_ts bigint,
  expires_ts bigint,
  -- when an administrator revoked it; null: it is not revoked
  revoked_ts bigint
);
create index registration_tokens_created on registration_tokens (created_ts);

-- Third-party identifiers (e-mail addresses, phone numbers) that are verified. Each belongs to one user at most.
create table threepids (
  medium text not null,
  address text not null,
  user_id text not null references users,
  validated_ts bigint not null,
  added_ts bigint not null,
  primary key (medium, address)
);
create index threepids_user on threepids (user_id);
create index threepids_emails on threepids (added_ts) where medium = 'email';

-- Verification of such an address by a link that is sent to it, or of a phone number by a code.
create table threepid_sessions (
  session_id text primary key,
  -- 'add', 'account' (added once confirmed), 'register' or 'password': the session is valid for this purpose only
  purpose text not null,
  medium text not null,
  address text not null,
  client_secret text not null,
  -- the account that the verification is for; empty: the client was not logged in
  user_id text not null default '',
  -- SHA-256 of the token in the link, or of session and code
  token_hash text not null,
  send_attempt bigint not null,
  -- wrong codes for a phone number
  failed_attempts integer not null default 0,
  next_link text,
  validated_ts bigint,
  expires_ts bigint not null,
  unique (purpose, medium, address, client_secret, user_id)
);
create index threepid_sessions_expiry on threepid_sessions (expires_ts);
create index threepid_sessions_user on threepid_sessions (user_id);
