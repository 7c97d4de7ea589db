-- How writes to a rendezvous session ended, so that one that is repeated ends the same (MSC4388).
create table rendezvous_transactions (
  session_id text not null references rendezvous_sessions on delete cascade,
  txn_id text not null,
  -- null: the write came too late, after another one
  sequence_token text,
  primary key (session_id, txn_id)
);
