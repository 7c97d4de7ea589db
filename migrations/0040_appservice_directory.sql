-- Rooms that application services list in the directories of their networks:
-- https://spec.matrix.org/v1.19/application-service-api/#published-room-directories
create table appservice_directory (
  room_id text not null,
  appservice_id text not null,
  network_id text not null,
  primary key (room_id, appservice_id, network_id)
);
create index appservice_directory_network on appservice_directory (appservice_id, network_id);
