-- Files that users send: https://spec.matrix.org/v1.19/client-server-api/#content-repository
-- The bytes lie in the object store; what is not in these tables does not exist.

-- One row for each distinct content, however many media have it. Goes when no medium has it any more.
create table media_files (
  -- of the content, in base64url
  sha256 text primary key,
  size bigint not null,
  object_key text not null unique,
  -- the type that the content itself shows; null: none that is known
  detected_type text,
  created_ts bigint not null
);

create table media (
  server_name text not null,
  media_id text not null,
  -- null for media of other servers
  uploader text,
  -- null: reserved, its content is to come until expires_ts
  sha256 text references media_files,
  -- as the uploader says
  content_type text not null,
  filename text,
  created_ts bigint not null,
  expires_ts bigint,
  primary key (server_name, media_id)
);
create index media_sha256 on media (sha256) where sha256 is not null;
create index media_uploader on media (uploader, created_ts);
create index media_reserved on media (expires_ts) where sha256 is null;

create table media_thumbnails (
  sha256 text not null references media_files on delete cascade,
  width integer not null,
  height integer not null,
  method text not null,
  animated boolean not null,
  -- null: the file itself serves, as it is no larger
  object_key text unique,
  content_type text not null,
  size bigint not null,
  primary key (sha256, width, height, method, animated)
);

-- Objects that no row above names: written just before the object itself, so that a crash leaves none behind unknown. Removed together with the
-- row that makes it known; what stays is swept.
create table unclaimed_objects (
  object_key text primary key,
  since_ts bigint not null,
  -- being deleted: may no longer be claimed
  doomed boolean not null default false
);
create index unclaimed_objects_since on unclaimed_objects (since_ts);
