//! `midwatch notify` as its user sees it, with a webhook that answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Command, Output},
    sync::mpsc,
};

use serde_json::Value;

/// A webhook that takes everything and hands it on.
fn webhook() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 204 x\r\nconnection: close\r\n\r\n").unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

fn midwatch(directory: &tempfile::TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .args(arguments)
        .env_clear()
        .env("HOME", directory.path())
        .env("MIDWATCH_STORE", directory.path().join("incidents.db"))
        .env("MIDWATCH_CONFIG", directory.path().join("midwatch.toml"))
        .env("HOOK_SECRET", "0123456789abcdef")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap()
}

fn write(directory: &tempfile::TempDir, url: &str) {
    let text = format!(
        "[elsewhere]\nx = 1\n[notify.channel.hook]\nkind = 'webhook'\nurl = '{url}'\n\
         secret = {{ env = 'HOOK_SECRET' }}\n[[notify.route]]\nname = 'all'\nsteps = [{{ channel = 'hook' }}]\n"
    );
    std::fs::write(directory.path().join("midwatch.toml"), text).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_route_is_tried_and_its_channels_say_whether_they_work() {
    let directory = tempfile::tempdir().unwrap();
    let (url, came) = webhook();
    write(&directory, &url);
    let output = midwatch(&directory, &["notify", "test", "--route", "all"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("took it"), "{}", said(&output));
    assert_eq!(came.recv().unwrap()["kind"], "test");

    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    write(&directory, &format!("http://{}", gone.local_addr().unwrap()));
    drop(gone);
    let output = midwatch(&directory, &["notify", "test", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["routes"][0]["channels"][0]["problem"], "127.0.0.1 cannot be reached");

    let output = midwatch(&directory, &["notify", "test", "--route", "none"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("there is no route `none`; there are: all"), "{}", said(&output));
}

#[test]
fn a_wrong_configuration_and_a_store_without_an_outbox_say_how_to_mend_them() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "http://hooks.example.com/path-secret");
    let output = midwatch(&directory, &["notify", "test"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("channel `hook`: the URL is not https"), "{}", said(&output));
    assert!(!said(&output).contains("path-secret"));
    for arguments in [&["notify", "list"][..], &["notify", "ack", "inc-1", "--by", "first-on-call"]] {
        let output = midwatch(&directory, arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("midwatch serve"), "{}", said(&output));
    }
}
