-- A proof of an address serves one purpose, and the account that it was asked for: '' where the client was not logged in.
delete from threepid_sessions;
alter table threepid_sessions add column user_id text not null default '';
alter table threepid_sessions drop constraint threepid_sessions_purpose_medium_address_client_secret_key;
alter table threepid_sessions add unique (purpose, medium, address, client_secret, user_id);
