-- The table of before was made for counting in windows, and never used.
drop table rate_limits;

-- What several processes have counted together for rate limits; it may go with a crash of the database.
create unlogged table rate_limits (
  -- category and user or address
  key text primary key,
  -- when all may be asked for at once again, in milliseconds since 1970 by the database's clock
  full_ts double precision not null
);
