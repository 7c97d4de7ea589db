-- Media: https://spec.matrix.org/v1.19/client-server-api/#content-repository
-- The bytes are in the object store. An object that no row names does not exist for clients.

-- One row per distinct content. It is deleted with the last media that uses it.
create table media_files (
  -- of the content, in base64url
  sha256 text primary key,
  size bigint not null,
  object_key text not null,
  -- the store that has the object: disk or s3
  store text not null,
  -- media type found in the content; null: not recognised
  detected_type text,
  created_ts bigint not null,
  -- the scanner of this server has found nothing in it
  is_scanned boolean not null default false,
  unique (store, object_key)
);

create table media (
  server_name text not null,
  media_id text not null,
  -- null for remote media, and for images of URL previews
  uploader text,
  -- null: pending upload until expires_ts, or remote media that may not be fetched
  sha256 text references media_files,
  -- as in media_files, so that the uploads of a user are summed up from an index; null for media without uploader
  file_size bigint,
  -- as the uploader says
  content_type text not null,
  filename text,
  created_ts bigint not null,
  expires_ts bigint,
  -- last request, to within a day; at first the upload or the fetch. Media without an uploader expire without requests,
  -- others if the configuration says so. Null for a pending upload.
  accessed_ts bigint,
  -- the administrator who quarantined it, if it had no file then. Otherwise a rule for the content does it.
  quarantined_by text,
  -- rules for contents with verdict 'quarantine' do not apply to it
  is_protected boolean not null default false,
  -- of the content that was fetched, but is denied. It is not fetched again while the rule exists.
  refused_sha256 text,
  primary key (server_name, media_id)
);
create index media_sha256 on media (sha256) where sha256 is not null;
create index media_uploader on media (uploader, created_ts) include (file_size);
create index media_reserved on media (expires_ts) where sha256 is null;
create index media_accessed_local on media (accessed_ts) where uploader is not null;
create index media_accessed_remote on media (accessed_ts) where uploader is null;

-- Contents that are not served: for downloads, media with such a content do not exist.
create table media_content_rules (
  sha256 text primary key,
  -- quarantine: files with it are stored, and available again when the rule is deleted; deny: files with it are refused
  verdict text not null check (verdict in ('quarantine', 'deny')),
  -- an administrator, or 'scanner'
  set_by text not null,
  reason text,
  set_ts bigint not null
);
create index media_content_rules_time on media_content_rules (set_ts, sha256);

-- Servers whose media are not served.
create table media_quarantined_servers (
  server_name text primary key,
  set_by text not null,
  reason text,
  set_ts bigint not null
);
create index media_quarantined_servers_time on media_quarantined_servers (set_ts, server_name);

create table media_thumbnails (
  sha256 text not null references media_files on delete cascade,
  width integer not null,
  height integer not null,
  method text not null,
  animated boolean not null,
  -- null: the file is its own thumbnail, as it is not larger
  object_key text,
  store text,
  content_type text not null,
  size bigint not null,
  primary key (sha256, width, height, method, animated),
  unique (store, object_key)
);

-- Objects that no row above names. A row is written just before its object, so that a crash leaves no unknown object,
-- and deleted in the transaction that stores the media. Rows that stay are orphaned objects, which a sweep deletes.
-- While an object is moved to another store, its copy there is such an object, and afterwards its original.
create table pending_objects (
  object_key text not null,
  store text not null,
  since_ts bigint not null,
  -- the sweep is deleting it: it cannot be claimed any more
  is_deleting boolean not null default false,
  primary key (object_key, store)
);
create index pending_objects_since on pending_objects (store, since_ts);

-- Previews of URLs, and failures to fetch them, until they expire. The URLs themselves are not stored.
create table url_previews (
  -- hash of the URL and the language
  key text primary key,
  -- the response as JSON; null: the last fetch failed, or the first one is in progress
  preview text,
  -- 0 while the first fetch is in progress
  expires_ts bigint not null,
  -- the fetch in progress
  lease_holder text,
  lease_until_ts bigint
);
create index url_previews_expires on url_previews (expires_ts);
