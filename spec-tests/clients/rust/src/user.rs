//! A user with an app: a client, its sync service and its room list.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, pin_mut};
use matrix_sdk::{
    Client, RoomState,
    encryption::EncryptionSettings,
    ruma::{
        OwnedRoomId, RoomId, UserId,
        api::client::room::create_room::v3::Request as CreateRoom,
        events::room::message::RoomMessageEventContent,
        events::{InitialStateEvent, room::encryption::RoomEncryptionEventContent},
    },
    sliding_sync::VersionBuilder,
};
use matrix_sdk_ui::{
    eyeball_im::Vector,
    room_list_service::{RoomListItem, RoomListLoadingState, filters::new_filter_all},
    sync_service::SyncService,
    timeline::{RoomExt, Timeline},
};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct User {
    client: Client,
    sync: Arc<SyncService>,
}

impl User {
    /// Logs in with a password, as the server says that it can sliding sync, and starts to sync.
    pub async fn log_in(url: &str, name: &str, password: &str) -> Result<Self> {
        let encryption = EncryptionSettings {
            auto_enable_cross_signing: true,
            ..Default::default()
        };
        let client = Client::builder()
            .homeserver_url(url)
            .sliding_sync_version_builder(VersionBuilder::DiscoverNative)
            .with_encryption_settings(encryption)
            .build()
            .await?;
        client
            .matrix_auth()
            .login_username(name, password)
            .initial_device_display_name("Element X")
            .send()
            .await?;
        Self::start(client).await
    }

    /// Starts to sync as a client that is logged in.
    pub async fn start(client: Client) -> Result<Self> {
        client.event_cache().subscribe()?;
        client
            .encryption()
            .wait_for_e2ee_initialization_tasks()
            .await;
        let sync = Arc::new(SyncService::builder(client.clone()).build().await?);
        sync.start().await;
        Ok(Self { client, sync })
    }

    pub fn id(&self) -> &UserId {
        self.client.user_id().expect("is logged in")
    }

    pub async fn create_encrypted_room(&self, guest: &User) -> Result<OwnedRoomId> {
        let mut request = CreateRoom::new();
        request.name = Some("Room of the SDK".to_owned());
        request.invite = vec![guest.id().to_owned()];
        let encryption = InitialStateEvent::with_empty_state_key(
            RoomEncryptionEventContent::with_recommended_defaults(),
        );
        request.initial_state = vec![encryption.to_raw_any()];
        Ok(self.client.create_room(request).await?.room_id().to_owned())
    }

    pub async fn join(&self, room_id: &RoomId) -> Result<()> {
        self.client
            .get_room(room_id)
            .context("the invite is not known")?
            .join()
            .await?;
        Ok(())
    }

    /// Waits until the room list is complete.
    pub async fn wait_for_room_list(&self) -> Result<()> {
        let list = self.sync.room_list_service().all_rooms().await?;
        let mut state = list.loading_state();
        let loaded = async {
            while !matches!(state.get(), RoomListLoadingState::Loaded { .. }) {
                state.next().await;
            }
        };
        timeout(PATIENCE, loaded)
            .await
            .with_context(|| format!("{} waits in vain", self.id()))
    }

    /// Waits until the room list, as the app shows it, has the room in this state.
    pub async fn wait_for_room(&self, room_id: &RoomId, state: RoomState) -> Result<()> {
        let list = self.sync.room_list_service().all_rooms().await?;
        let (entries, controller) = list.entries_with_dynamic_adapters(100);
        controller.set_filter(Box::new(new_filter_all(vec![])));
        pin_mut!(entries);
        let mut rooms = Vector::<RoomListItem>::new();
        let seen = async {
            while let Some(diffs) = entries.next().await {
                for diff in diffs {
                    diff.apply(&mut rooms);
                }
                if rooms
                    .iter()
                    .any(|room| room.room_id() == room_id && room.state() == state)
                {
                    return Ok(());
                }
            }
            bail!("the room list ended")
        };
        timeout(PATIENCE, seen)
            .await
            .with_context(|| format!("{} waits in vain", self.id()))?
    }

    pub async fn wait_for_members(&self, room_id: &RoomId, count: u64) -> Result<()> {
        let room = self
            .client
            .get_room(room_id)
            .context("the room is not known")?;
        let mut info = room.subscribe_info();
        let seen = async {
            while room.joined_members_count() < count {
                info.next().await;
            }
        };
        timeout(PATIENCE, seen)
            .await
            .with_context(|| format!("{} waits in vain", self.id()))
    }

    /// Opens the room, as the app does: it subscribes to it.
    async fn open(&self, room_id: &RoomId) -> Result<Timeline> {
        self.sync
            .room_list_service()
            .subscribe_to_rooms(&[room_id])
            .await;
        let room = self.sync.room_list_service().room(room_id)?;
        Ok(room.timeline().await?)
    }

    pub async fn send(&self, room_id: &RoomId, text: &str) -> Result<()> {
        let room = self
            .client
            .get_room(room_id)
            .context("the room is not known")?;
        room.send(RoomMessageEventContent::text_plain(text)).await?;
        Ok(())
    }

    /// Waits until the open room shows the message, decrypted.
    pub async fn wait_for_message(&self, room_id: &RoomId, text: &str) -> Result<()> {
        let timeline = self.open(room_id).await?;
        let (mut items, updates) = timeline.subscribe().await;
        pin_mut!(updates);
        let seen = async {
            loop {
                let bodies = items.iter().filter_map(|item| {
                    item.as_event()?
                        .content()
                        .as_message()
                        .map(|message| message.body())
                });
                if bodies.into_iter().any(|body| body == text) {
                    return Ok(());
                }
                let Some(diffs) = updates.next().await else {
                    bail!("the timeline ended")
                };
                for diff in diffs {
                    diff.apply(&mut items);
                }
            }
        };
        timeout(PATIENCE, seen)
            .await
            .with_context(|| format!("{} waits in vain", self.id()))?
    }

    pub async fn pause(&self) {
        self.sync.stop().await;
    }

    pub async fn go_on(&self) {
        self.sync.start().await;
    }

    pub async fn stop(&self) {
        self.sync.stop().await;
    }
}
