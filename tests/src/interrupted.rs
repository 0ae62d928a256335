//! Commands of the host that are killed: each at a chosen packet between it and the database.

use crate::{
    World,
    proxy::{Direction, Proxy},
};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// A way to a world's database that knows when to kill.
pub struct Interrupted {
    proxy: Proxy,
    home: tempfile::TempDir,
}

impl Interrupted {
    /// A new one.
    pub async fn new() -> Self {
        Self { proxy: Proxy::start(World::postgres_port()).await, home: tempfile::tempdir().expect("a directory") }
    }

    fn start(&self, world: &World, words: &[&str]) -> Child {
        let port = self.proxy.port.to_string();
        let mut command = Command::from(world.command(self.home.path(), words));
        command.env("DB_PORT", &port).env("DB_OWNER_PORT", &port).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true).spawn().expect("jhe is built before the tests")
    }

    /// Runs a command to its end, which is a good one: how many packets it was sent.
    pub async fn whole(&self, world: &World, words: &[&str]) -> i64 {
        self.proxy.arm(Direction::FromDatabase, i64::MAX);
        let status = self.start(world, words).wait().await.expect("it ended");
        let packets = i64::MAX - self.proxy.left(Direction::FromDatabase);
        self.proxy.disarm(Direction::FromDatabase);
        assert!(status.success(), "{words:?}: {status}");
        packets
    }

    /// Kills a command at the packet after so many: whether it was still at work.
    pub async fn killed(&self, world: &World, words: &[&str], after: i64) -> bool {
        let mut cut = self.proxy.cuts();
        self.proxy.arm(Direction::FromDatabase, after);
        let mut child = self.start(world, words);
        let killed = tokio::select! {
            biased;
            _ = cut.recv() => { child.kill().await.expect("killed"); true }
            status = child.wait() => {
                assert!(status.expect("it ended").success() && self.proxy.left(Direction::FromDatabase) >= 0, "it failed by itself");
                false
            }
        };
        self.proxy.disarm(Direction::FromDatabase);
        killed
    }
}
