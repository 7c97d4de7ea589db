-- The wide network (IPv6: /48, IPv4: /24) of a creator without an account, whose places are counted together; null: the creator is a user.
alter table rendezvous_sessions add column network text;
