//! The commands of `jhe`.

mod audit;
mod backup;
mod contain;
mod exposed;
mod out;
mod pins;
mod private;
mod retention;
mod scheduled;
mod verify;

use out::say;
use runtime::{App, Occasion, Scheduled};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use standalone::{NoProxy, SCHEDULED, TrustedProxies, demo, embedded::Embedded, schedule, server};
use std::{
    error::Error,
    fmt::Write as _,
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use store::DatabaseConfig;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

const USAGE: &str = "\
usage: jhe [serve] [--demo]          serve; without DB_HOST with a private PostgreSQL under .local
       jhe migrate                   apply the migrations to the database and make the functions' login
       jhe with-database COMMAND...  run a command with a throw-away PostgreSQL
       jhe pins --site URL           print public keys as apps pin them; or of --certificate FILE
       jhe verify --target TARGET    look at a deployment: docs/verify.md has the options
       jhe contain --user ID|EMAIL | --client ID | --organization ID | --everything [--reason TEXT]
                                     end what is open of it and block it; --release: let it go again
       jhe exposed --from T --to T   who was affected: docs/incident-response.md has the options
       jhe audit prove EVENT         print the proof that the audit has an event, for docs/check_proof.py
       jhe audit public-key          print the key that checks proofs
       jhe restore BACKUP --into DATABASE [--from PLACE]
                                     put a backup, or the latest one, into an empty database
       jhe backup public-key         print the key by which backups are believed
       jhe retention report          count what is to be deleted, and change nothing; --patients: of each patient
       jhe retention certificate N   print what plan N deleted, signed; --ids: with the numbers of the observations
{scheduled}
environment: PORT (8000), BIND (127.0.0.1), JHE_HOME (.local), SITE_URL, DB_*, see docs/configuration.md";

type Failure = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// The rights of a login that all functions share.
const ALL: &str = "jhe_app";

/// Runs the command that the arguments name.
pub async fn run(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["serve"] => serve(false).await,
        ["--demo"] | ["serve", "--demo"] => serve(true).await,
        ["migrate"] => migrate().await,
        ["verify", options @ ..] => verify::run(options).await,
        ["contain", options @ ..] => contain::run(options).await,
        ["exposed", options @ ..] => exposed::run(options).await,
        ["audit", "prove", event] => audit::prove(event).await,
        ["audit", "public-key"] => audit::public_key().await,
        ["pins", options @ ..] => pins::run(options).await,
        ["backup", "public-key"] => backup::public_key().await,
        ["backup", "verify", options @ ..] => backup::verify(options).await,
        ["backup", options @ ..] => backup::create(options).await,
        ["retention", "report", options @ ..] => retention::report(options).await,
        ["retention", "certificate", plan, options @ ..] => retention::certificate(plan, options).await,
        ["restore", backup, options @ ..] => backup::restore(backup, options).await,
        ["with-database", command @ ..] if !command.is_empty() => with_database(command).await,
        ["help" | "--help" | "-h"] => {
            say(usage())?;
            Ok(ExitCode::SUCCESS)
        }
        words => {
            if let Some((function, options)) = scheduled::named(words) {
                return scheduled::run(function, options).await;
            }
            eprintln!("{}", usage());
            Ok(ExitCode::from(2))
        }
    }
}

/// What there is, with a line for each scheduled function.
fn usage() -> String {
    let scheduled = SCHEDULED.iter().fold(String::new(), |mut text, function| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "       jhe {:<25} {}", function.command, function.summary);
        text
    });
    USAGE.replace("{scheduled}", &scheduled)
}

/// An error and its causes in one line.
pub fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Who calls, as the operating system's environment says it: with `sudo`, who called that. It is a word for the audit and proves nothing,
/// since who may call can say another one.
fn operator() -> Option<String> {
    let names = [environment("SUDO_USER"), environment("USER"), environment("LOGNAME")];
    let is_name = |name: &String| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@\\$".contains(&byte))
    };
    names.into_iter().flatten().find(is_name)
}

fn home() -> PathBuf {
    environment("JHE_HOME").map_or_else(|| PathBuf::from(".local"), PathBuf::from)
}

/// Mail and the seals of the audit are kept as files when nothing else is chosen.
fn file_default(name: &str) -> Option<String> {
    match name {
        "MAIL_TRANSPORT" => Some("directory".to_owned()),
        "MAIL_DIRECTORY" => Some(home().join("mail").display().to_string()),
        "AUDIT_SEAL_DIRECTORY" => Some(home().join("seals").display().to_string()),
        _ => None,
    }
}

/// Where a host listens.
fn port() -> Result<u16> {
    let Some(text) = environment("PORT") else { return Ok(8000) };
    Ok(text.parse().map_err(|_| "PORT is not a port number")?)
}

/// What the site is called, where its host listens on this port: for who serves and for every command beside them.
fn site_url(port: u16) -> String {
    environment("SITE_URL").unwrap_or_else(|| format!("http://localhost:{port}"))
}

/// Where the server listens and what it is called.
struct Address {
    listener: TcpListener,
    site_url: String,
}

impl Address {
    async fn bind() -> Result<Self> {
        let port = port()?;
        let bind = environment("BIND").unwrap_or_else(|| "127.0.0.1".to_owned());
        let listener = TcpListener::bind((bind.as_str(), port)).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("port {port} is in use; choose another, for instance PORT={}", port.saturating_add(1))
            }
            _ => format!("cannot listen on {bind}:{port}: {error}"),
        })?;
        let site_url = site_url(listener.local_addr()?.port());
        Ok(Self { listener, site_url })
    }
}

async fn serve(with_demo: bool) -> Result<ExitCode> {
    let stop = stop_signal()?;
    // Before anything is started: a port in use is the most common mistake.
    let address = Address::bind().await?;
    if environment("DB_HOST").is_some() {
        let app = app(Vec::new(), &address.site_url)?;
        return start(address, app, stop).await;
    }
    let name = private::name()?;
    let server = Embedded::start(&home(), false).await?;
    let stop = async {
        stop.await;
        // From now on the port is free, and this directory soon: the next one waits for it.
        server.ends();
    };
    let result = serve_private(&server, &name, address, with_demo, stop).await;
    server.stop().await?;
    result
}

/// Serves, once what is scheduled was done: the first start makes the keys.
async fn start(address: Address, app: App, stop: impl Future<Output = ()>) -> Result<ExitCode> {
    let proxies = trusted_proxies()?;
    let app = Arc::new(app);
    schedule::run_all(&app).await;
    schedule::repeat(&app);
    say(format_args!("ready: {}", address.site_url))?;
    server::serve(address.listener, app, proxies, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// Variables of the environment that a command gives itself.
type Variables = Vec<(&'static str, String)>;

/// Does something with the state of a process, beside a host that serves or without one. Of a private PostgreSQL, its owner's
/// way there is known too.
async fn with_app(work: impl AsyncFnOnce(&App) -> Result<ExitCode>) -> Result<ExitCode> {
    with_given(Vec::new(), work).await
}

/// The same, with these variables before those of the environment.
async fn with_given(mut given: Variables, work: impl AsyncFnOnce(&App) -> Result<ExitCode>) -> Result<ExitCode> {
    let site_url = site_url(port()?);
    if environment("DB_HOST").is_some() {
        // What a command takes is not part of every future around it.
        return Box::pin(work(&app(given, &site_url)?)).await;
    }
    private::with(async |database| {
        given.extend(database.variables());
        work(&app(given, &site_url)?).await
    })
    .await
}

async fn report(function: &Scheduled, app: &App, occasion: &Occasion) -> Result<ExitCode> {
    let report = function.run(app, occasion).await.map_err(|failure| failure.detail())?;
    say(format_args!("{report:#}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Twice the cores: a request waits for the database, not for a processor.
fn pool_size() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| cores.get() * 4)
}

fn trusted_proxies() -> std::result::Result<TrustedProxies, NoProxy> {
    environment("TRUST_PROXY").unwrap_or_default().parse()
}

async fn serve_private(
    server: &Embedded,
    name: &str,
    address: Address,
    with_demo: bool,
    stop: impl Future<Output = ()>,
) -> Result<ExitCode> {
    let database = private::prepared(server, name).await?;
    let app = app(database.variables(), &address.site_url)?;
    let owner = database.owner;
    if with_demo {
        let fresh = demo::seed(&owner, &address.site_url).await?;
        demo::move_clients(&owner, &address.site_url).await?;
        let world = demo::describe(&owner, &address.site_url).await?;
        if fresh {
            demo::upload(&app, &world).await?;
        }
        let path = home().join("demo.json");
        write_private(&path, &serde_json::to_string_pretty(&world)?)?;
        say(introduction(&world, &path))?;
    }
    start(address, app, stop).await
}

/// The environment that leads to a database.
fn variables(config: &DatabaseConfig) -> Variables {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    vec![
        ("DB_HOST", config.host.clone()),
        ("DB_PORT", config.port.to_string()),
        ("DB_NAME", config.name.clone()),
        ("DB_USER", config.user.clone()),
        (
            "DB_PASSWORD",
            config.password.as_ref().map(|password| password.expose_secret().to_owned()).unwrap_or_default(),
        ),
        ("DB_SSL_MODE", "verify-full".to_owned()),
        ("DB_SSL_ROOT_CERT", path(&config.ssl_root_cert)),
    ]
}

/// The same, and what leads its owner there.
fn with_owner(mut variables: Variables, owner: &DatabaseConfig) -> Variables {
    let password = owner.password.as_ref().map(|password| password.expose_secret().to_owned()).unwrap_or_default();
    variables.extend([("DB_OWNER_USER", owner.user.clone()), ("DB_OWNER_PASSWORD", password)]);
    variables
}

/// The state of a process, with these variables before those of the environment.
fn app(mut variables: Variables, site_url: &str) -> Result<App> {
    variables.push(("SITE_URL", site_url.to_owned()));
    let lookup = move |name: &str| {
        let given = variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        given.or_else(|| environment(name)).or_else(|| file_default(name))
    };
    Ok(App::new(lookup, Some(&home().join("secrets")), pool_size())?)
}

async fn migrate() -> Result<ExitCode> {
    // Who names the owner's login means a server of their own, wherever it is.
    if environment("DB_HOST").is_none() && environment("DB_OWNER_USER").is_none() {
        return private::with(async |database| {
            database.prepare().await?;
            let (name, user) = (&database.owner.name, &database.app.user);
            say(format_args!("{name} has every migration, and {user} may do what the functions may do"))?;
            Ok(ExitCode::SUCCESS)
        })
        .await;
    }
    let owner = owner_config()?;
    let applied = store::migrate(&owner).await?;
    say(format_args!("{applied} migrations applied"))?;
    set_retention_floor(&owner).await?;
    if let (Some(user), Some(password)) = (environment("DB_USER"), secret("DB_PASSWORD")?) {
        store::create_login(&owner, &user, &password, ALL).await?;
        say(format_args!("the login {user} may do what the functions may do"))?;
    }
    let changes = store::log_changes(&owner).await?;
    say(format_args!("pgaudit: {}", changes.text()))?;
    if let (Some(user), Some(password)) = (environment("DB_RETENTION_USER"), secret("DB_RETENTION_PASSWORD")?) {
        store::create_login(&owner, &user, &password, "jhe_retention").await?;
        say(format_args!("the login {user} may delete by the policies of retention"))?;
    }
    if let (Some(user), Some(password)) = (environment("DB_BACKUP_USER"), secret("DB_BACKUP_PASSWORD")?) {
        store::create_backup_login(&owner, &user, &password).await?;
        say(format_args!("the login {user} may read everything for backups"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Keeps in the database what no policy of retention undercuts.
async fn set_retention_floor(owner: &DatabaseConfig) -> Result<()> {
    let (minimum_days, notice_days) = runtime::retention_floor(environment)?;
    Ok(store::set_retention_floor(owner, minimum_days, notice_days).await?)
}

/// The owner's way to the database.
fn owner_config() -> Result<DatabaseConfig> {
    Ok(runtime::owner(environment)?)
}

/// A secret of the environment, or of the file that `NAME_FILE` names.
fn secret(name: &'static str) -> Result<Option<SecretString>> {
    Ok(secrets::secret(&environment, name)?)
}

/// Makes a login for each group of functions, as a deployment on AWS has them: that of all with the group's name behind it.
async fn make_logins_of_groups(server: &Embedded, database: &str) -> Result<()> {
    let (owner, app) = (server.owner(database), server.app(database));
    let password = app.password.unwrap_or_else(|| SecretString::from(String::new()));
    for role in store::ROLES.into_iter().filter(|role| *role != ALL) {
        let login = role.replacen("jhe", &app.user, 1);
        store::create_login(&owner, &login, &password, role).await?;
    }
    Ok(())
}

/// Runs a command with a PostgreSQL that is gone afterwards. The command finds it by `DB_*` and `DB_OWNER_*`; the database
/// `jhe_template` holds the demo world without tokens, for tests to copy.
async fn with_database(command: &[&str]) -> Result<ExitCode> {
    let directory = Scratch::new()?;
    let database = Embedded::start(&directory.0, environment("DURABLE").is_none()).await?;
    let result = run_with(&database, &directory.0, command).await;
    database.stop().await?;
    result
}

async fn run_with(database: &Embedded, directory: &Path, command: &[&str]) -> Result<ExitCode> {
    const TEMPLATE: &str = "jhe_template";
    store::create_database(&database.owner("postgres"), TEMPLATE).await?;
    private::Private::of(database, TEMPLATE).prepare().await?;
    make_logins_of_groups(database, TEMPLATE).await?;
    demo::seed(&database.owner(TEMPLATE), "http://localhost:8000").await?;
    let (Some(program), arguments) = (command.first(), command.get(1..).unwrap_or_default()) else {
        return Ok(ExitCode::from(2));
    };
    let owner = database.owner(TEMPLATE);
    let owner_password =
        owner.password.as_ref().map(|password| password.expose_secret().to_owned()).unwrap_or_default();
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .envs(variables(&database.app(TEMPLATE)))
        .env("DB_OWNER_USER", &owner.user)
        .env("DB_OWNER_PASSWORD", owner_password)
        .env("JHE_SCRATCH", directory)
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    // Ctrl-C reaches the command too; here it only must not keep the database from being stopped.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = interrupt.recv() => child.wait().await?,
        _ = terminate.recv() => {
            child.start_kill()?;
            child.wait().await?
        }
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A directory that is gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let random = oauth::token::random_bytes::<8>()?;
        let path = std::env::temp_dir().join(format!("jhe-{:016x}", u64::from_be_bytes(random)));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(elsewhere) = fs::canonicalize(self.0.join("postgres")) {
            let _ = fs::remove_dir_all(elsewhere);
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ready when the process is asked to stop.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A file that only this account can read: it holds tokens.
fn write_private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    use io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(content.as_ref())
}

/// What a person who starts the demo should know.
fn introduction(world: &Value, path: &Path) -> String {
    let mut text = format!("\nThe demo world. Everybody's password is {}\n\n", demo::PASSWORD);
    let users = world.get("users").and_then(Value::as_object).into_iter().flatten();
    let mut rows: Vec<(i64, &str, &str)> = users
        .map(|(_, user)| {
            let field = |name| user.get(name).and_then(Value::as_str).unwrap_or_default();
            (user.get("user_id").and_then(Value::as_i64).unwrap_or_default(), field("email"), field("user_type"))
        })
        .collect();
    rows.sort_unstable();
    for (id, email, kind) in rows {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {id}  {email:<38} {kind}");
    }
    let base = world.get("base_url").and_then(Value::as_str).unwrap_or_default();
    let _ = write!(
        text,
        "\nClients: CareX (1), CommonHealth (2), Patient Access (3), JHE Admin UI (4, public, {client})\n\
         Tokens for a day, and all ids: {path}\n\n\
         Try: curl {base}/FHIR/R5/metadata\n\
         Try: TOKEN=$(python3 -c \"import json; print(json.load(open('{path}'))['users']['viewer_victor']['access_token'])\")\n\
         Try: curl -H \"Authorization: Bearer $TOKEN\" '{base}/FHIR/R5/Observation?patient=40001'\n\
         Try: make demo\n",
        client = demo::PUBLIC_CLIENT,
        path = path.display(),
    );
    text
}
