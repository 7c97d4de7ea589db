//! Two users of Element X's SDK: they log in, sync their room lists by sliding sync, meet in an encrypted room and talk, also after a pause.

use anyhow::{Context, Result};

use crate::user::User;

pub async fn talk(url: &str, alice: &str, bob: &str, password: &str) -> Result<()> {
    let alice = User::log_in(url, alice, password)
        .await
        .context("alice logs in")?;
    let bob = User::log_in(url, bob, password)
        .await
        .context("bob logs in")?;

    let room_id = alice
        .create_encrypted_room(&bob)
        .await
        .context("alice creates a room")?;
    alice
        .wait_for_room(&room_id, matrix_sdk::RoomState::Joined)
        .await
        .context("alice's room list")?;
    bob.wait_for_room(&room_id, matrix_sdk::RoomState::Invited)
        .await
        .context("bob's room list")?;
    bob.join(&room_id).await.context("bob joins")?;
    bob.wait_for_room(&room_id, matrix_sdk::RoomState::Joined)
        .await
        .context("bob's room list after joining")?;
    alice
        .wait_for_members(&room_id, 2)
        .await
        .context("alice sees bob join")?;

    alice.send(&room_id, "Hello Bob").await?;
    bob.wait_for_message(&room_id, "Hello Bob")
        .await
        .context("bob reads alice")?;
    bob.send(&room_id, "Hello Alice").await?;
    alice
        .wait_for_message(&room_id, "Hello Alice")
        .await
        .context("alice reads bob")?;

    // What comes while an app is in the background is there when it comes back.
    bob.pause().await;
    for number in 1..=3 {
        alice
            .send(&room_id, &format!("Are you there? {number}"))
            .await?;
    }
    bob.go_on().await;
    bob.wait_for_message(&room_id, "Are you there? 3")
        .await
        .context("bob reads what he missed")?;
    bob.wait_for_message(&room_id, "Are you there? 1")
        .await
        .context("bob reads all that he missed")?;

    alice.stop().await;
    bob.stop().await;
    println!("two users talked, encrypted");
    Ok(())
}
