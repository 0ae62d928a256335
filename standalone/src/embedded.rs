//! A private PostgreSQL: its own data directory, its own certificate authority, TLS only, on this machine only.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use secrecy::{ExposeSecret, SecretString};
use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use store::{DatabaseConfig, SslMode};
use tokio::process::Command;

/// The private PostgreSQL cannot run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No PostgreSQL is installed.
    #[error("PostgreSQL is not installed. Install it, for instance: sudo apt-get install postgresql")]
    NotInstalled,
    /// Running as root, and there is no other account to run it as: it refuses to run as root.
    #[error("PostgreSQL does not run as root, and this machine has no account named postgres. Run as another user")]
    NoAccount,
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// A file or directory.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    /// The certificate.
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// No random numbers.
    #[error("no random numbers")]
    Random,
    /// Another process serves from the same directory.
    #[error("another jhe uses {0}. Stop it first, or set JHE_HOME to another directory")]
    InUse(PathBuf),
}

/// A running private PostgreSQL. It must be stopped with [`Embedded::stop`].
#[derive(Debug)]
pub struct Embedded {
    bin: PathBuf,
    directory: PathBuf,
    port: u16,
    owner_password: SecretString,
    app_password: SecretString,
    /// Held as long as this process may touch the server.
    lock: fs::File,
}

/// What a server for tests has besides: it need not survive a crash, and it counts statements where a test asks for it. Those of
/// all databases at once would be more than it keeps.
const LOOSE: &str = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nshared_preload_libraries = 'pg_stat_statements'\n\
     pg_stat_statements.track = 'none'\n";

/// The login that owns the tables.
const OWNER: &str = "jhe_owner";

/// The login that serves requests.
const APP: &str = "jhe_standalone";

impl Embedded {
    /// Starts PostgreSQL in a directory, making it first when it is empty. `fast_and_loose` gives up durability for
    /// speed: for tests only.
    pub async fn start(home: &Path, fast_and_loose: bool) -> Result<Self, EmbeddedError> {
        let bin = find_programs()?;
        fs::create_dir_all(home).map_err(|error| EmbeddedError::File(home.to_owned(), error))?;
        let home = fs::canonicalize(home).map_err(|error| EmbeddedError::File(home.to_owned(), error))?;
        let lock = lock(&home).await?;
        let directory = reachable(&home)?;
        let owner_password = secret_file(&home.join("secrets"), "db_owner_password")?;
        let app_password = secret_file(&home.join("secrets"), "db_app_password")?;
        let port = free_port().map_err(|error| EmbeddedError::File(directory.clone(), error))?;
        let server = Self { bin, directory, port, owner_password, app_password, lock };
        if !server.data().join("PG_VERSION").exists() {
            server.initialise().await?;
        }
        server.configure(fast_and_loose)?;
        server.certify()?;
        // Left over when the process before was killed: it must be gone before this one opens the files.
        server.stop().await?;
        server
            .program(
                "pg_ctl",
                &["-D", &server.data().to_string_lossy(), "-l", &server.log().to_string_lossy(), "-w", "start"],
            )
            .await?;
        Ok(server)
    }

    /// Stops PostgreSQL; does nothing when it does not run.
    pub async fn stop(&self) -> Result<(), EmbeddedError> {
        if !self.data().join("postmaster.pid").exists() {
            return Ok(());
        }
        let stopped = self.program("pg_ctl", &["-D", &self.data().to_string_lossy(), "-m", "fast", "-w", "stop"]).await;
        // A stale file of a server that is gone is not an error: pg_ctl start cleans it up.
        match stopped {
            Err(EmbeddedError::Program { output, .. })
                if output.contains("not exist") || output.contains("not running") =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Says that this process is ending, so that the next one waits for the directory. Where it cannot be said, the next one is refused.
    pub fn ends(&self) {
        let _ = self.lock.write_all_at(ENDING, 0);
    }

    /// How the owner connects to a database of this server.
    #[must_use]
    pub fn owner(&self, database: &str) -> DatabaseConfig {
        self.config(database, OWNER, &self.owner_password)
    }

    /// How the functions connect to a database of this server.
    #[must_use]
    pub fn app(&self, database: &str) -> DatabaseConfig {
        self.config(database, APP, &self.app_password)
    }

    /// How the functions connect to a database of the server that another process runs in a directory.
    pub fn app_of_running(home: &Path, database: &str) -> Result<DatabaseConfig, EmbeddedError> {
        Self::of_running(home, database, APP, "db_app_password")
    }

    /// How the owner connects to a database of that server.
    pub fn owner_of_running(home: &Path, database: &str) -> Result<DatabaseConfig, EmbeddedError> {
        Self::of_running(home, database, OWNER, "db_owner_password")
    }

    fn of_running(home: &Path, database: &str, user: &str, secret: &str) -> Result<DatabaseConfig, EmbeddedError> {
        let directory = home.join("postgres");
        let directory = fs::canonicalize(&directory).map_err(|error| EmbeddedError::File(directory, error))?;
        // The file of a running server has its port in the fourth line.
        let path = directory.join("data/postmaster.pid");
        let text = fs::read_to_string(&path).map_err(|error| EmbeddedError::File(path.clone(), error))?;
        let port = text.lines().nth(3).and_then(|line| line.trim().parse().ok());
        let port = port.ok_or_else(|| EmbeddedError::File(path, io::ErrorKind::InvalidData.into()))?;
        let password = secret_file(&home.join("secrets"), secret)?;
        Ok(config(&directory, port, database, user, &password))
    }

    fn config(&self, database: &str, user: &str, password: &SecretString) -> DatabaseConfig {
        config(&self.directory, self.port, database, user, password)
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("postgresql.log")
    }

    async fn initialise(&self) -> Result<(), EmbeddedError> {
        let password = self.directory.join("owner-password");
        write_private(&password, self.owner_password.expose_secret())?;
        Self::give(&self.directory)?;
        Self::give(&password)?;
        let result = self
            .program(
                "initdb",
                &[
                    "-D",
                    &self.data().to_string_lossy(),
                    "-U",
                    OWNER,
                    "--pwfile",
                    &password.to_string_lossy(),
                    "-A",
                    "scram-sha-256",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8",
                    "--data-checksums",
                ],
            )
            .await;
        fs::remove_file(&password).map_err(|error| EmbeddedError::File(password, error))?;
        result
    }

    /// Writes the settings: a port of this start, TLS only, and no access but by password over TLS from this machine.
    fn configure(&self, fast_and_loose: bool) -> Result<(), EmbeddedError> {
        let loose = if fast_and_loose { LOOSE } else { "" };
        let settings = format!(
            "listen_addresses = 'localhost'\nport = {}\nunix_socket_directories = ''\nssl = on\n\
             ssl_cert_file = '{dir}/server.pem'\nssl_key_file = '{dir}/server.key'\nssl_min_protocol_version = 'TLSv1.2'\n\
             password_encryption = 'scram-sha-256'\nshared_buffers = '256MB'\nmax_connections = 200\nmax_wal_size = '2GB'\n\
             random_page_cost = 1.1\njit = off\ntimezone = 'UTC'\nlog_timezone = 'UTC'\nlog_min_messages = 'warning'\nlog_error_verbosity = 'terse'\nlog_min_error_statement = 'panic'\n{loose}",
            self.port,
            dir = self.directory.display(),
        );
        let hba = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n";
        for (name, text) in [("postgresql.auto.conf", settings.as_str()), ("pg_hba.conf", hba)] {
            let path = self.data().join(name);
            write_private(&path, text)?;
            Self::give(&path)?;
        }
        Ok(())
    }

    /// Makes a certificate authority and a certificate for `localhost`, unless they are there. The authority's key is
    /// not kept: it can sign nothing else.
    fn certify(&self) -> Result<(), EmbeddedError> {
        let certificate = self.directory.join("server.pem");
        if certificate.exists() {
            return Ok(());
        }
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "JupyterHealth Exchange private database");
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::from_params(&authority, &authority_key);
        let server_key = KeyPair::generate()?;
        let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "localhost");
        let server_certificate = server.signed_by(&server_key, &issuer)?;
        let key = self.directory.join("server.key");
        write_private(&key, &server_key.serialize_pem())?;
        let authority_path = self.directory.join("ca.pem");
        for (path, text) in [(&authority_path, authority_certificate.pem()), (&certificate, server_certificate.pem())] {
            write_anew(path, &text, 0o644)?;
        }
        Self::give(&key)?;
        Self::give(&certificate)
    }

    /// Gives a file to the account that PostgreSQL runs as.
    fn give(path: &Path) -> Result<(), EmbeddedError> {
        match account()? {
            None => Ok(()),
            Some((user, group)) => std::os::unix::fs::lchown(path, Some(user), Some(group))
                .map_err(|error| EmbeddedError::File(path.to_owned(), error)),
        }
    }

    /// Runs a program of PostgreSQL, as the account that it runs as.
    async fn program(&self, program: &'static str, arguments: &[&str]) -> Result<(), EmbeddedError> {
        let path = self.bin.join(program);
        let mut command = match account()? {
            None => Command::new(&path),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command
                    .args([
                        format!("--reuid={user}"),
                        format!("--regid={group}"),
                        "--clear-groups".to_owned(),
                        "--".to_owned(),
                    ])
                    .arg(&path);
                command
            }
        };
        // A process group of its own: Ctrl-C on the terminal stops this host, and this host stops PostgreSQL.
        let output = command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0)
            .output()
            .await
            .map_err(|error| EmbeddedError::File(path, error))?;
        if output.status.success() {
            return Ok(());
        }
        let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.push_str(&fs::read_to_string(self.log()).unwrap_or_default());
        let tail: Vec<&str> = text.lines().rev().take(8).collect();
        Err(EmbeddedError::Program { program, output: tail.into_iter().rev().collect::<Vec<_>>().join(" | ") })
    }
}

/// How to connect to a server, whose files are in this directory.
fn config(directory: &Path, port: u16, database: &str, user: &str, password: &SecretString) -> DatabaseConfig {
    DatabaseConfig {
        host: "localhost".to_owned(),
        port,
        name: database.to_owned(),
        user: user.to_owned(),
        password: Some(password.clone()),
        ssl_mode: SslMode::VerifyFull,
        ssl_root_cert: Some(directory.join("ca.pem")),
        ssl_cert: None,
        ssl_key: None,
        pool_size: 8,
        connect_timeout: Duration::from_secs(5),
    }
}

/// What is in the lock while its holder is ending.
const ENDING: &[u8] = b"ending";

/// How long that may take: the requests that run, and PostgreSQL after them.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes this process the only one that uses `home`, once the one before has come to its end. The system lets go of the lock when the
/// process ends, however it ends.
async fn lock(home: &Path) -> Result<fs::File, EmbeddedError> {
    let path = home.join("lock");
    let failed = |error| EmbeddedError::File(path.clone(), error);
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(failed)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => {
                // What the holder before said of itself.
                file.set_len(0).map_err(failed)?;
                return Ok(file);
            }
            Err(fs::TryLockError::WouldBlock) if is_ending(&file) && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(fs::TryLockError::WouldBlock) => return Err(EmbeddedError::InUse(home.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// Whether who holds the lock says that they are ending.
fn is_ending(lock: &fs::File) -> bool {
    let mut said = [0; ENDING.len()];
    lock.read_exact_at(&mut said, 0).is_ok() && said == *ENDING
}

/// Where the programs of the newest PostgreSQL are.
fn find_programs() -> Result<PathBuf, EmbeddedError> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere =
        || std::env::split_paths(&path).find(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists());
    versions.pop().map(|(_, bin)| bin).or_else(elsewhere).ok_or(EmbeddedError::NotInstalled)
}

/// The user and group to run PostgreSQL as: none when this process is not root and runs it itself.
fn account() -> Result<Option<(u32, u32)>, EmbeddedError> {
    let own = fs::metadata("/proc/self").map_err(|error| EmbeddedError::File(PathBuf::from("/proc/self"), error))?;
    if own.uid() != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = accounts.lines().find(|line| line.starts_with("postgres:")).ok_or(EmbeddedError::NoAccount)?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok(Some((user, group))),
        _ => Err(EmbeddedError::NoAccount),
    }
}

/// The directory of the server under `home`. As root the server runs under another account, which may not be able to
/// pass the directories above; then the directory is elsewhere, and `home` has a link to it.
fn reachable(home: &Path) -> Result<PathBuf, EmbeddedError> {
    let file = |path: &Path, error| EmbeddedError::File(path.to_owned(), error);
    let link = home.join("postgres");
    let passable = account()?.is_none()
        || home.ancestors().all(|path| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o001 != 0));
    if link.exists() {
        return fs::canonicalize(&link).map_err(|error| file(&link, error));
    }
    let private = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path).map_err(|error| file(path, error));
    if passable {
        private(&link)?;
        return Ok(link);
    }
    // A name that nobody can foresee, and a directory that was not there before: others can write beside it.
    let random = oauth::token::random_bytes::<8>().map_err(|_| EmbeddedError::Random)?;
    let elsewhere = PathBuf::from(format!("/var/tmp/jhe-postgres-{:016x}", u64::from_be_bytes(random)));
    private(&elsewhere)?;
    std::os::unix::fs::symlink(&elsewhere, &link).map_err(|error| file(&link, error))?;
    Ok(elsewhere)
}

/// A password kept in a file that only this account can read; made when it is not there.
fn secret_file(directory: &Path, name: &str) -> Result<SecretString, EmbeddedError> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)
                .and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(0o700)))
                .map_err(|error| EmbeddedError::File(directory.to_owned(), error))?;
            let secret = oauth::Secret::generate().map_err(|_| EmbeddedError::Random)?;
            write_private(&path, secret.expose())?;
            Ok(SecretString::from(secret.expose().to_owned()))
        }
        Err(error) => Err(EmbeddedError::File(path, error)),
    }
}

/// Writes a file anew. What stood at its place is removed first and never followed: it may be a link by somebody else.
fn write_anew(path: &Path, text: &str, mode: u32) -> Result<(), EmbeddedError> {
    use io::Write as _;
    let file = |error| EmbeddedError::File(path.to_owned(), error);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(error)),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options.open(path).and_then(|mut new| new.write_all(text.as_bytes())).map_err(file)
}

/// As [`write_anew`], for this account only.
fn write_private(path: &Path, text: &str) -> Result<(), EmbeddedError> {
    write_anew(path, text, 0o600)
}

/// A port that nothing uses.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
