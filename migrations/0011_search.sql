-- Search in messages and users. A follower of the stream fills these tables. They may be behind the stream, and can be
-- filled again from position 0. Design: docs/decisions/0019-search-index.md

-- Events with text to search, none of them encrypted or redacted.
create table search_events (
  event_nid bigint primary key,
  room_id text not null,
  sender text not null,
  origin_server_ts bigint not null,
  -- where the text is: content.body, content.name or content.topic
  key text not null,
  -- words (core/text/search-tokens.ts) and the room id, so that one index answers for both
  tokens text[] not null,
  -- how many of the tokens are words
  word_count integer not null
);
create index search_events_tokens on search_events using gin (tokens);

-- Words of user ids and display names. The search decides which names the searcher may see.
create table search_user_words (
  word text collate "C" not null,
  user_id text not null,
  primary key (word, user_id)
);
create index search_user_words_user on search_user_words (user_id);

-- One row: how far the stream has been followed. The lock on the row is the follower's lease.
create table search_progress (
  only_row boolean primary key default true check (only_row),
  stream_position bigint not null default 0
);
insert into search_progress default values;
