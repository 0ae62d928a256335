//! Commands of the host that are killed: each at chosen packets between it and the database.

use crate::{
    World,
    proxy::{Direction, Proxy},
};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// A way to a world's database that knows when to kill.
pub struct Interrupted {
    proxy: Proxy,
    direction: Direction,
    environment: Vec<(&'static str, String)>,
    home: tempfile::TempDir,
}

/// The points at which a command is killed: spread over its packets, until it was killed at twenty of them.
pub struct Points {
    packets: i64,
    killed: i64,
    missed: i64,
}

impl Points {
    /// How often a command is killed.
    pub const MANY: i64 = 20;

    /// Those of a command with so many packets.
    #[must_use]
    pub fn of(packets: i64) -> Self {
        assert!(packets > Self::MANY, "{packets} packets are too few");
        Self { packets, killed: 0, missed: 0 }
    }

    /// Whether there are some left.
    #[must_use]
    pub fn remain(&self) -> bool {
        self.killed < Self::MANY
    }

    /// The packet after which it is killed next.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.packets * self.killed / Self::MANY
    }

    /// What came of it. Who had ended before was shorter than was thought.
    fn was(&mut self, killed: bool) {
        if killed {
            self.killed += 1;
        } else {
            (self.packets, self.missed) = (self.next(), self.missed + 1);
        }
        assert!(self.missed < Self::MANY, "it ends before it can be killed");
    }
}

impl Interrupted {
    /// A new one, which kills when the command is about to be answered.
    pub async fn new() -> Self {
        Self {
            proxy: Proxy::start(World::postgres_port()).await,
            direction: Direction::FromDatabase,
            environment: Vec::new(),
            home: tempfile::tempdir().expect("a directory"),
        }
    }

    /// The same, which kills at packets of this direction.
    #[must_use]
    pub fn going(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// The same, for commands with these variables.
    #[must_use]
    pub fn with(self, environment: Vec<(&'static str, String)>) -> Self {
        Self { environment, ..self }
    }

    fn start(&self, world: &World, words: &[&str]) -> Child {
        let port = self.proxy.port.to_string();
        let mut command = Command::from(world.command(self.home.path(), words));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("DB_PORT", &port).env("DB_OWNER_PORT", &port).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true).spawn().expect("jhe is built before the tests")
    }

    /// Runs a command to its end, which is a good one: how many packets there were.
    pub async fn whole(&self, world: &World, words: &[&str]) -> i64 {
        self.proxy.arm(self.direction, i64::MAX);
        let status = self.start(world, words).wait().await.expect("it ended");
        let packets = i64::MAX - self.proxy.left(self.direction);
        self.proxy.disarm(self.direction);
        assert!(status.success(), "{words:?}: {status}");
        packets
    }

    /// Kills a command at the next of these points, if one is left. It may have ended before, and well.
    pub async fn kill(&self, world: &World, words: &[&str], points: &mut Points) {
        if !points.remain() {
            return;
        }
        let mut cut = self.proxy.cuts();
        self.proxy.arm(self.direction, points.next());
        let mut child = self.start(world, words);
        let killed = tokio::select! {
            biased;
            _ = cut.recv() => { child.kill().await.expect("killed"); true }
            status = child.wait() => {
                assert!(status.expect("it ended").success() && self.proxy.left(self.direction) >= 0, "it failed by itself");
                false
            }
        };
        self.proxy.disarm(self.direction);
        points.was(killed);
    }
}
