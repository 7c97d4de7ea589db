-- Hash in PHC format of the password that the first request wanted to set; null: it wanted to set none.
alter table uia_sessions add column secret_hash text;
-- Whether a request is being performed with it, or was: a session serves for one.
alter table uia_sessions add column claimed boolean not null default false;
-- JSON object: what came of the request, for a client that repeats it. Null until it was performed.
alter table uia_sessions add column note text;
