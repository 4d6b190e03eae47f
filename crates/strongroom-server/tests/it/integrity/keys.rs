//! Starting: keys can't brick the instance, and nothing is made over what is there.

use std::fs;
use std::path::Path;

use strongroom_server::{Instance, StartError, World, make_root_key_file};
use strongroom_testkit::TestApp;

use crate::support::value_of;

/// The names and contents of a folder's files.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

async fn refused(app: &mut TestApp) -> String {
    app.try_start().await.expect_err("it must not start").to_string()
}

fn fingerprint(app: &TestApp) -> String {
    app.tamper().text("SELECT fingerprint FROM root_key_slots")
}

#[tokio::test]
async fn a_wrong_root_key_stops_the_start_and_names_both() {
    let mut app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "value")]).await;
    let expected = fingerprint(&app);
    app.stop().await;
    let key = app.folder().join("root.key");
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let found = make_root_key_file(&key).unwrap();
    let before = content(app.folder());
    let message = refused(&mut app).await;
    assert!(message.contains(&expected) && message.contains(&found), "{message}");
    assert!(message.contains("root-key-file"), "the way out: {message}");
    assert_eq!(
        content(app.folder()).iter().map(|(name, _)| name).collect::<Vec<_>>(),
        before.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    fs::remove_file(&key).unwrap();
    make_private(&key, &right);
    app.try_start().await.unwrap();
    assert_eq!(value_of(&cast.editor, cast.secret_id("K")).await, "value", "nothing was harmed");
}

#[tokio::test]
async fn a_missing_root_key_is_not_made_beside_existing_data() {
    let mut app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "value")]).await;
    app.stop().await;
    let key = app.folder().join("root.key");
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    for _ in 0..2 {
        let message = refused(&mut app).await;
        assert!(message.contains("root.key") && message.contains("(fingerprint rk-"), "{message}");
        assert!(!key.exists(), "a new key would lock the data out for good");
    }
    for (damaged, says) in
        [(&b""[..], "no root key"), (b"hunter2", "no root key"), (&right[..right.len() / 2], "no root key")]
    {
        make_private(&key, damaged);
        let message = refused(&mut app).await;
        assert!(message.contains(says) && !message.contains("hunter2"), "{message}");
        fs::remove_file(&key).unwrap();
    }
    make_private(&key, &right);
    app.try_start().await.unwrap();
    assert_eq!(value_of(&cast.editor, cast.secret_id("K")).await, "value");
}

#[tokio::test]
async fn one_process_has_the_folder() {
    let mut app = TestApp::start().await;
    let second = Instance::open(&app.settings(), World::default()).await;
    let Err(error) = second else { panic!("two have the folder") };
    assert!(matches!(&error, StartError::InUse(path) if path == app.folder()), "{error}");
    assert!(error.to_string().contains("data-dir"));
    app.restart().await;
}

#[tokio::test]
async fn the_tenant_can_not_be_renamed() {
    let mut app = TestApp::start().await;
    app.set("STRONGROOM_TENANT", "acme");
    app.stop().await;
    let message = refused(&mut app).await;
    assert!(message.contains("acme") && message.contains("default"), "{message}");
}

#[tokio::test]
async fn a_malformed_admin_token_stops_the_start_and_is_not_shown() {
    let mut app = TestApp::start().await;
    app.set("STRONGROOM_ADMIN_TOKEN", "tfy_hunter2");
    app.stop().await;
    let message = refused(&mut app).await;
    assert!(
        message.contains("admin-token") && message.contains("strongroom token new") && !message.contains("hunter2"),
        "{message}"
    );
}

#[tokio::test]
async fn the_admin_token_counts_at_the_first_start_only() {
    let mut app = TestApp::start().await;
    let first = app.admin();
    let other = app.unknown_token();
    app.set("STRONGROOM_ADMIN_TOKEN", &other);
    app.restart().await;
    first.get("/api/svc/v1/session").await.expect(200);
    app.client("other", Some(&other)).get("/api/svc/v1/session").await.refused(401, "unauthenticated");
}

fn make_private(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// With its files the whole database is gone.
mod sqlite_only {
    use super::*;

    #[tokio::test]
    async fn a_named_root_key_file_must_be_there_and_is_then_used() {
        let elsewhere = tempfile::tempdir().unwrap();
        let key = elsewhere.path().join("the.key");
        let mut app = TestApp::start().await;
        app.stop().await;
        for entry in fs::read_dir(app.folder()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        app.set("STRONGROOM_ROOT_KEY_FILE", key.to_str().unwrap());
        let message = refused(&mut app).await;
        assert!(message.contains(key.to_str().unwrap()) && message.contains("strongroom keys init"), "{message}");
        assert!(!app.folder().join("strongroom.db").exists(), "nothing is begun without a key");
        let made = make_root_key_file(&key).unwrap();
        app.try_start().await.unwrap();
        assert_eq!(fingerprint(&app), made);
        assert!(!app.folder().join("root.key").exists());
    }
}
