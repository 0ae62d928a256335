//! AWS as moto plays it, for the tests of what uses it.
//!
//! Needs the Python package `moto[server]`. `PYTHON` names the interpreter that has it, `python3` by default.

#![allow(clippy::panic, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

use crate::configuration;
use aws_types::SdkConfig;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
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
        match name {
            "AWS_ENDPOINT_URL" => Some(self.endpoint.clone()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            _ => None,
        }
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
