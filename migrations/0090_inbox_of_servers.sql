-- What one server has sent and what waits is limited, and so it is counted whenever that server sends more.
create index federation_inbox_origin on federation_inbox (origin);
