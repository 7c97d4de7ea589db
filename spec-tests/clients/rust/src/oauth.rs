//! An app that signs in by OAuth. It keeps its session and its keys in a folder, which a second process of the app (the notification service) shares.
//! Its user is at the other end of stdin and stdout: the app prints a URL to open, and reads the URL to which the browser was sent.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use matrix_sdk::{
    Client, RoomState,
    authentication::oauth::{
        ClientId, OAuthSession, UserSession,
        qrcode::{LoginProgress, QrCodeData},
        registration::{ApplicationType, ClientMetadata, Localized, OAuthGrantType},
    },
    cross_process_lock::CrossProcessLockConfig,
    encryption::{BackupDownloadStrategy, EncryptionSettings},
    reqwest::Certificate,
    ruma::{RoomId, serde::Raw},
    sliding_sync::VersionBuilder,
    store::RoomLoadSettings,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};
use url::Url;

use crate::user::User;

/// The session as the app keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    client_id: ClientId,
    user: UserSession,
}

#[derive(Clone)]
pub struct App {
    url: String,
    authority: PathBuf,
    folder: PathBuf,
}

impl App {
    /// `authority`: PEM file of the certificate that the app trusts.
    pub fn new(url: &str, authority: &str, folder: &str) -> Self {
        Self {
            url: url.to_owned(),
            authority: authority.into(),
            folder: folder.into(),
        }
    }

    /// Registers the app, has the user sign in, syncs, and keeps the session. Prints the URL to open, then the user's and the device's id.
    pub async fn sign_in(&self, redirect: &str) -> Result<()> {
        let client = self.client("app").await?;
        let redirect = Url::parse(redirect)?;
        let login = client
            .oauth()
            .login(
                redirect.clone(),
                None,
                Some(Raw::new(&metadata(redirect)?)?.into()),
                None,
            )
            .build()
            .await
            .context("begins to sign in")?;
        println!("{}", login.url);
        let answer = next_line(&mut lines()).await?;
        client
            .oauth()
            .finish_login(Url::parse(&answer)?.into())
            .await
            .context("finishes to sign in")?;
        self.keep(&client)?;
        let user = User::start(client.clone()).await?;
        user.wait_for_room_list().await?;
        user.stop().await;
        println!("{}", who(&client)?);
        Ok(())
    }

    /// Signs in by the QR code of a device that is signed in, which the user permits on the server's page. Prints the code that this page shows, then the
    /// user's and the device's id. Waits until the old message can be read.
    pub async fn scan(&self, code: &str, room_id: &str, text: &str) -> Result<()> {
        let client = self.client("app").await?;
        let code = QrCodeData::from_base64(code)?;
        let registration = Raw::new(&metadata(Url::parse("io.element.android:/")?)?)?.into();
        let oauth = client.oauth();
        let login = oauth.login_with_qr_code(Some(&registration)).scan(&code);
        let mut progress = login.subscribe_to_progress();
        let reported = tokio::spawn(async move {
            while let Some(state) = progress.next().await {
                if let LoginProgress::WaitingForToken { user_code } = state {
                    println!("{user_code}");
                }
            }
        });
        login.await.context("signs in by the QR code")?;
        reported.abort();
        println!("{}", who(&client)?);
        let user = User::start(client).await?;
        let room_id = RoomId::parse(room_id)?;
        user.wait_for_room(&room_id, RoomState::Joined).await?;
        user.wait_for_message(&room_id, text).await?;
        user.stop().await;
        println!("read");
        Ok(())
    }

    /// For each line of stdin, which names them: refreshes the tokens, and uses them. Prints `done`. `locked`: as Element X does it, with a lock that the
    /// processes share; without it they refresh with the same token at the same time.
    pub async fn refresh(&self, locked: bool) -> Result<()> {
        let client = self.restore(locked).await?;
        println!("ready");
        let mut lines = lines();
        while let Some(line) = lines.next_line().await? {
            if line.contains("refresh") {
                client
                    .oauth()
                    .refresh_access_token()
                    .await
                    .context("refreshes")?;
            }
            if line.contains("use") {
                client.whoami().await.context("uses the refreshed token")?;
            }
            println!("done");
        }
        Ok(())
    }

    pub async fn sign_out(&self) -> Result<()> {
        let client = self.restore(true).await?;
        client.whoami().await.context("is signed in")?;
        client.oauth().logout().await.context("signs out")?;
        println!("signed out");
        Ok(())
    }

    async fn restore(&self, locked: bool) -> Result<Client> {
        let holder = format!("process {}", std::process::id());
        let client = self.client(&holder).await?;
        if locked {
            client
                .oauth()
                .enable_cross_process_refresh_lock(holder)
                .await?;
        }
        let (app, other) = (self.clone(), self.clone());
        client.set_session_callbacks(
            Box::new(move |_| Ok(app.kept()?.user.tokens)),
            Box::new(move |client| Ok(other.keep(&client)?)),
        )?;
        let Kept { client_id, user } = self.kept()?;
        client
            .oauth()
            .restore_session(
                OAuthSession { client_id, user },
                RoomLoadSettings::default(),
            )
            .await
            .context("restores the session")?;
        Ok(client)
    }

    async fn client(&self, holder: &str) -> Result<Client> {
        let authority = Certificate::from_pem(&fs::read(&self.authority)?)?;
        Ok(Client::builder()
            .homeserver_url(&self.url)
            .add_root_certificates(vec![authority])
            .sliding_sync_version_builder(VersionBuilder::DiscoverNative)
            .sqlite_store(self.folder.join("store"), None)
            .cross_process_store_config(CrossProcessLockConfig::multi_process(holder))
            .with_encryption_settings(EncryptionSettings {
                backup_download_strategy: BackupDownloadStrategy::AfterDecryptionFailure,
                ..Default::default()
            })
            .handle_refresh_tokens()
            .build()
            .await?)
    }

    fn keep(&self, client: &Client) -> Result<()> {
        let OAuthSession { client_id, user } =
            client.oauth().full_session().context("no session")?;
        let file = self.folder.join(format!("{}.json", std::process::id()));
        fs::write(&file, serde_json::to_vec(&Kept { client_id, user })?)?;
        Ok(fs::rename(file, self.folder.join("session.json"))?)
    }

    fn kept(&self) -> Result<Kept> {
        Ok(serde_json::from_slice(&fs::read(
            self.folder.join("session.json"),
        )?)?)
    }
}

/// As Element X registers itself.
fn metadata(redirect: Url) -> Result<ClientMetadata> {
    let page = |path: &str| -> Result<Option<Localized<Url>>> {
        let url = Url::parse(&format!("https://element.io/{path}"))?;
        Ok(Some(Localized::new(url, [])))
    };
    let grants = vec![
        OAuthGrantType::AuthorizationCode {
            redirect_uris: vec![redirect],
        },
        OAuthGrantType::DeviceCode,
    ];
    let uri = Localized::new(Url::parse("https://element.io")?, []);
    let mut metadata = ClientMetadata::new(ApplicationType::Native, grants, uri);
    metadata.client_name = Some(Localized::new("Element X".to_owned(), []));
    metadata.logo_uri = page("mobile-icon.png")?;
    metadata.policy_uri = page("privacy")?;
    metadata.tos_uri = page("acceptable-use-policy-terms")?;
    Ok(metadata)
}

/// The ids of the user and the device.
fn who(client: &Client) -> Result<String> {
    let user = client.user_id().context("no user")?;
    Ok(format!(
        "{user} {}",
        client.device_id().context("no device")?
    ))
}

fn lines() -> Lines<BufReader<Stdin>> {
    BufReader::new(stdin()).lines()
}

async fn next_line(lines: &mut Lines<BufReader<Stdin>>) -> Result<String> {
    lines.next_line().await?.context("stdin ended")
}
