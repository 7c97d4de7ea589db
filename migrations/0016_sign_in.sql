-- Signing in on the pages of this server, and second factors. Secrets are stored as hashes only (SHA-256 in base64url),
-- except TOTP secrets.

-- Accounts at identity providers that sign in to an account here.
create table upstream_links (
  provider_id text not null,
  -- the provider's permanent name of the person
  subject text not null,
  user_id text not null references users,
  -- by which the person recognises the account at the provider: an e-mail address or name
  label text not null,
  linked_ts bigint not null,
  primary key (provider_id, subject)
);
create index upstream_links_user on upstream_links (user_id, provider_id);
create index upstream_links_time on upstream_links (linked_ts);

-- Sign-ins at identity providers, from the way there to the account here.
create table upstream_requests (
  -- of the parameter `state`
  state_hash text primary key,
  provider_id text not null,
  -- of the cookie of the browser that began: no other browser may end it
  browser_hash text not null,
  nonce text not null,
  code_verifier text not null,
  -- where the sign-in leads; null: nowhere in particular
  continue_path text,
  -- the signed-in user who links an account at the provider; null: a sign-in
  link_to text references users,
  -- when a signed-in user began to prove again who they are: an older sign-in at the provider does not count; null: no
  -- such demand
  again_since_ts bigint,
  -- whether the provider has answered: an answer is good for once
  answered boolean not null default false,
  -- JSON: the person, if no account here is linked yet
  identity text,
  expires_ts bigint not null
);
create index upstream_requests_browser on upstream_requests (browser_hash);
create index upstream_requests_expiry on upstream_requests (expires_ts);

-- Sessions at identity providers by which somebody has signed in: a back-channel logout ends what came of them.
create table upstream_sessions (
  session_nid bigint primary key generated always as identity,
  provider_id text not null,
  subject text not null,
  -- the provider's name of the session; null: it gave none
  sid text,
  user_id text not null references users,
  created_ts bigint not null
);
create index upstream_sessions_subject on upstream_sessions (provider_id, subject);
create index upstream_sessions_sid on upstream_sessions (provider_id, sid) where sid is not null;
create index upstream_sessions_user on upstream_sessions (user_id, created_ts);

-- Devices that were logged in by such a session.
create table upstream_devices (
  user_id text not null,
  device_id text not null,
  session_nid bigint not null references upstream_sessions on delete cascade,
  primary key (user_id, device_id),
  foreign key (user_id, device_id) references devices on delete cascade
);
create index upstream_devices_session on upstream_devices (session_nid);

-- Logout tokens that have been used, until they are too old anyway.
create table upstream_logouts (
  provider_id text not null,
  token_id_hash text not null,
  expires_ts bigint not null,
  primary key (provider_id, token_id_hash)
);
create index upstream_logouts_expiry on upstream_logouts (expires_ts);

-- Login tokens of single sign-on.
alter table login_tokens add column upstream_session_nid bigint references upstream_sessions on delete cascade;
create index login_tokens_upstream on login_tokens (upstream_session_nid) where upstream_session_nid is not null;
-- the session by which the user signed in who consented; the device that the request or grant signs in belongs to it
alter table oauth_requests add column upstream_session_nid bigint references upstream_sessions on delete cascade;
create index oauth_requests_upstream on oauth_requests (upstream_session_nid) where upstream_session_nid is not null;
alter table oauth_device_grants add column upstream_session_nid bigint references upstream_sessions on delete cascade;
create index oauth_device_grants_upstream on oauth_device_grants (upstream_session_nid)
  where upstream_session_nid is not null;
-- the same, for sessions without a device
alter table oauth_sessions add column upstream_session_nid bigint references upstream_sessions on delete set null;
create index oauth_sessions_upstream on oauth_sessions (upstream_session_nid) where upstream_session_nid is not null;

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
  -- whether the user needs no mail about this sign-in: it renews one in the same browser, or the account is new
  is_expected boolean not null,
  expires_ts bigint not null,
  -- the session at an identity provider by which the user signed in
  upstream_session_nid bigint references upstream_sessions on delete set null,
  check ((user_id is null) <> (pending_user_id is null))
);
create index web_sessions_user on web_sessions (user_id, last_seen_ts);
create index web_sessions_pending on web_sessions (pending_user_id);
create index web_sessions_expiry on web_sessions (expires_ts);
create index web_sessions_created on web_sessions (created_ts) where user_id is not null;
create index web_sessions_upstream on web_sessions (upstream_session_nid) where upstream_session_nid is not null;

-- Second factors of accounts. An account has one once it has a confirmed TOTP secret or a passkey.

-- Secrets of authenticator apps (TOTP, RFC 6238), in base32 and in clear: the server computes the codes from them, and a
-- key beside them in this database would protect nothing.
create table totp_secrets (
  user_id text primary key references users,
  -- null: none is set up yet
  secret text,
  -- the time step of the newest code that was used: older codes and this one are refused
  last_used_step bigint not null default 0,
  -- shown to the user, who has not confirmed it with a code; null: none
  pending_secret text,
  check (secret is not null or pending_secret is not null)
);

-- Codes for users who lost their second factor. Each is used once: its row is deleted.
create table recovery_codes (
  user_id text not null references users,
  code_hash text not null,
  primary key (user_id, code_hash)
);

-- Passkeys: WebAuthn credentials, https://www.w3.org/TR/webauthn-3/
create table passkeys (
  -- base64url, as the public key (COSE)
  credential_id text primary key,
  user_id text not null references users,
  public_key text not null,
  -- the authenticator's signature counter; 0: it counts nothing
  counter bigint not null,
  -- JSON list of how browsers reach the authenticator, such as ["internal", "hybrid"]
  transports text not null,
  -- by the user, to tell passkeys apart
  name text not null,
  created_ts bigint not null,
  last_used_ts bigint
);
create index passkeys_user on passkeys (user_id, created_ts);

-- WebAuthn challenges that were answered. A challenge carries its own expiry and signature, so that only answered ones
-- need a row.
create table spent_challenges (
  challenge_hash text primary key,
  expires_ts bigint not null
);
create index spent_challenges_expiry on spent_challenges (expires_ts);

-- Personal tokens: access tokens that users create for bots and scripts. Requests read only
-- access_tokens.
create table personal_tokens (
  -- names the token in lists; not secret
  token_id text primary key,
  token_hash text not null unique references access_tokens on delete cascade,
  user_id text not null references users,
  -- by the user, to tell tokens apart
  name text not null,
  created_ts bigint not null
);
create index personal_tokens_user on personal_tokens (user_id, created_ts);
create index personal_tokens_created on personal_tokens (created_ts);
