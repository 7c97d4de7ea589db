-- Signing in on the pages of this server, and second factors. Secrets are stored as hashes only (SHA-256 in base64url),
-- except TOTP secrets.

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
  check ((user_id is null) <> (pending_user_id is null))
);
create index web_sessions_user on web_sessions (user_id, last_seen_ts);
create index web_sessions_pending on web_sessions (pending_user_id);
create index web_sessions_expiry on web_sessions (expires_ts);

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

-- Personal tokens: access tokens that users create for bots and scripts. What a request needs is in access_tokens.
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
