-- Searching messages and users. A follower of the stream fills these tables: they may lag behind, and can be filled again from position 0.

-- Events that have text to search. Nothing that is encrypted or redacted is here.
create table search_events (
  event_nid bigint primary key,
  room_id text not null,
  sender text not null,
  origin_server_ts bigint not null,
  -- where in the event the text is: content.body, content.name or content.topic
  key text not null,
  -- the words, see core/search-tokens.ts, and the room's id, so that one index answers for words and rooms together
  tokens text[] not null,
  -- how many of them are words
  word_count integer not null
);
create index search_events_tokens on search_events using gin (tokens);

-- Words by which users are found: of their user id and of display names. Which of the names the searcher may know is decided when one searches.
create table search_user_words (
  word text collate "C" not null,
  user_id text not null,
  primary key (word, user_id)
);
create index search_user_words_user on search_user_words (user_id);

-- One row: up to where the stream has been followed. Its lock is the follower's lease: it ends with the transaction, and so with the process.
create table search_progress (
  only_row boolean primary key default true check (only_row),
  stream_position bigint not null default 0
);
insert into search_progress default values;
