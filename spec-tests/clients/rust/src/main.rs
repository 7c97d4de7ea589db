//! What Element X does, by its SDK. Ends with 1 if anything fails, or if the SDK logs an error.
//! Usage: element-x talk HOMESERVER_URL ALICE BOB PASSWORD
//!        element-x sign-in|refresh|refresh-unlocked|sign-out HOMESERVER_URL AUTHORITY FOLDER [REDIRECT_URL]
//!        element-x scan HOMESERVER_URL AUTHORITY FOLDER QR_CODE ROOM_ID TEXT

// The futures of a sign-in by QR code are deeply nested.
#![recursion_limit = "256"]

mod log;
mod oauth;
mod talk;
mod user;

use anyhow::{Result, bail, ensure};
use oauth::App;

#[tokio::main]
async fn main() -> Result<()> {
    let errors = log::start();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["talk", url, alice, bob, password] => talk::talk(url, alice, bob, password).await?,
        ["sign-in", url, authority, folder, redirect] => {
            App::new(url, authority, folder).sign_in(redirect).await?
        }
        ["scan", url, authority, folder, code, room_id, text] => {
            App::new(url, authority, folder)
                .scan(code, room_id, text)
                .await?
        }
        ["refresh", url, authority, folder] => {
            App::new(url, authority, folder).refresh(true).await?
        }
        ["refresh-unlocked", url, authority, folder] => {
            App::new(url, authority, folder).refresh(false).await?
        }
        ["sign-out", url, authority, folder] => App::new(url, authority, folder).sign_out().await?,
        _ => bail!("unknown arguments: {arguments:?}"),
    }
    let logged = errors.load(std::sync::atomic::Ordering::SeqCst);
    ensure!(logged == 0, "the SDK logged {logged} errors");
    Ok(())
}
