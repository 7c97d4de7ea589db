-- The device that asked for the token: the token ends with it. Null: an application service asked without a device, or the token is older than this column.
alter table login_tokens add column device_id text;
alter table login_tokens add foreign key (user_id, device_id) references devices on delete cascade;
create index login_tokens_device on login_tokens (user_id, device_id);
