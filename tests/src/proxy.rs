//! A proxy in front of PostgreSQL that can cut connections: at a chosen packet, or all of them.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU16, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::JoinHandle,
};

/// The direction in which a packet is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the functions send: the database never sees the packet.
    ToDatabase,
    /// What the database sends: the functions never see the answer, but it has happened.
    FromDatabase,
}

/// The proxy.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    state: Arc<State>,
    listener: Option<JoinHandle<()>>,
}

struct State {
    database: AtomicU16,
    /// Packets that still pass before the cut; negative: nothing is armed.
    to_database: AtomicI64,
    from_database: AtomicI64,
    cut: broadcast::Sender<()>,
}

impl State {
    fn counter(&self, direction: Direction) -> &AtomicI64 {
        match direction {
            Direction::ToDatabase => &self.to_database,
            Direction::FromDatabase => &self.from_database,
        }
    }

    /// Counts a packet; true when it is the one to cut at.
    fn is_the_one(&self, direction: Direction) -> bool {
        let counter = self.counter(direction);
        counter.load(Ordering::SeqCst) >= 0 && counter.fetch_sub(1, Ordering::SeqCst) == 0
    }
}

impl Proxy {
    /// Starts a proxy in front of a port of this machine.
    pub async fn start(database: u16) -> Self {
        Self::start_on("localhost", database).await
    }

    /// Starts a proxy that listens on an address of this machine.
    pub async fn start_on(host: &str, database: u16) -> Self {
        let listener = TcpListener::bind((host, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (cut, _) = broadcast::channel(16);
        let state = Arc::new(State {
            database: AtomicU16::new(database),
            to_database: AtomicI64::new(-1),
            from_database: AtomicI64::new(-1),
            cut,
        });
        let listener = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { port, state, listener: Some(listener) }
    }

    /// Cuts every connection at the packet after `passing` more in a direction.
    pub fn arm(&self, direction: Direction, passing: i64) {
        self.state.counter(direction).store(passing, Ordering::SeqCst);
    }

    /// Disarms, and tells whether the cut happened.
    pub fn disarm(&self, direction: Direction) -> bool {
        self.state.counter(direction).swap(-1, Ordering::SeqCst) < 0
    }

    /// How many packets still pass before the cut.
    pub fn left(&self, direction: Direction) -> i64 {
        self.state.counter(direction).load(Ordering::SeqCst)
    }

    /// Tells of cuts to come.
    pub fn cuts(&self) -> broadcast::Receiver<()> {
        self.state.cut.subscribe()
    }

    /// Cuts every connection and refuses new ones, as a database that is gone.
    pub async fn stop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
            let _ = listener.await;
        }
        let _ = self.state.cut.send(());
    }

    /// Listens again on the same port.
    pub async fn resume(&mut self) {
        let listener = TcpListener::bind(("localhost", self.port)).await.expect("the same port");
        self.listener = Some(tokio::spawn(accept(listener, Arc::clone(&self.state))));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connect(client, Arc::clone(&state)));
    }
}

async fn connect(mut client: TcpStream, state: Arc<State>) {
    let mut cut = state.cut.subscribe();
    let port = state.database.load(Ordering::SeqCst);
    let Ok(mut database) = TcpStream::connect(("localhost", port)).await else {
        return;
    };
    let (mut client_read, mut client_write) = client.split();
    let (mut database_read, mut database_write) = database.split();
    tokio::select! {
        () = pump(&mut client_read, &mut database_write, &state, Direction::ToDatabase) => {}
        () = pump(&mut database_read, &mut client_write, &state, Direction::FromDatabase) => {}
        _ = cut.recv() => {}
    }
}

/// Copies packets until one side ends or the cut comes.
async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    state: &State,
    direction: Direction,
) {
    let mut packet = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut packet).await {
        if state.is_the_one(direction) {
            let _ = state.cut.send(());
            return;
        }
        if to.write_all(&packet[..length]).await.is_err() {
            return;
        }
    }
}
