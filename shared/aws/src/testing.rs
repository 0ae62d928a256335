//! AWS as moto plays it, for the tests of what uses it.
//!
//! Needs the Python package `moto[server]`. `PYTHON` names the interpreter that has it, `python3` by default.

#![allow(clippy::panic, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

use crate::configuration;
use aws_types::SdkConfig;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Serves on a free port, says which, and ends when its input does.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/moto_server.py");

/// A moto server, ended with the value.
pub struct Moto {
    process: Child,
    /// Where it serves.
    pub endpoint: String,
}

impl Moto {
    /// Starts a server with nothing in it.
    #[must_use]
    pub fn start() -> Self {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut process = Command::new(&python)
            .arg(SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {python}: {error}"));
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port = port.trim().parse::<u16>();
        let port = port.unwrap_or_else(|_| {
            panic!("moto did not start: install moto[server] for {python}, or name another interpreter in PYTHON")
        });
        Self { process, endpoint: format!("http://127.0.0.1:{port}") }
    }

    /// The variables that lead there.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        variable(&self.endpoint, name)
    }

    /// The configuration of clients.
    #[must_use]
    pub fn configuration(&self) -> SdkConfig {
        configuration(|name| self.variable(name), Duration::from_secs(10)).unwrap()
    }

    /// Ends the server before the value.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn variable(endpoint: &str, name: &str) -> Option<String> {
    match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
        "AWS_REGION" => Some("eu-central-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        _ => None,
    }
}

/// A service that answers each request by the next of some statuses and codes of errors, and is gone afterwards.
pub struct Scripted {
    endpoint: String,
    asked: Arc<AtomicUsize>,
}

impl Scripted {
    /// Starts one with these answers.
    #[must_use]
    pub fn answering(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answers: Vec<String> = answers.iter().map(|(status, code)| answer(*status, code)).collect();
        std::thread::spawn(move || {
            for text in answers {
                let (mut stream, _) = listener.accept().unwrap();
                read_request(&stream);
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(text.as_bytes()).unwrap();
            }
        });
        Self { endpoint, asked }
    }

    /// The variables that lead there.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        variable(&self.endpoint, name)
    }

    /// How many requests there were.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(status: u16, code: &str) -> String {
    let body = if code.is_empty() { String::new() } else { format!("<Error><Code>{code}</Code></Error>") };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Reads a request with all of its body.
fn read_request(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(said) = line.strip_prefix("content-length:") {
            length = said.trim().parse().unwrap();
        }
    }
    reader.take(length).read_to_end(&mut Vec::new()).unwrap();
}
