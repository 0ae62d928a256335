//! Backups that are not what was written, or not for us: each is refused in words, and nothing of it is restored.

use backup::{Manifest, Migration, SignedManifest, age::Identity, message};
use ecdsa::PrivateKey;
use end_to_end::backups::{BackedUp, Empty, contents, contents_as_backed_up};
use secrecy::ExposeSecret as _;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rows for two chunks and more.
const MANY: &str = "
INSERT INTO observation (patient_id, scope_id, data_source_id, status, effective_start, effective_end, last_updated, content)
SELECT o.patient_id, o.scope_id, o.data_source_id, o.status, o.effective_start, o.effective_end, o.last_updated, repeat(md5(n::text), 300)
  FROM (SELECT * FROM observation ORDER BY id LIMIT 1) o, generate_series(1, 2000) n";

/// Writes a file anew: those of a backup cannot be written to.
fn write(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    write(path, &bytes);
}

fn swap(one: &Path, other: &Path) {
    let (first, second) = (fs::read(one).expect("a file"), fs::read(other).expect("a file"));
    write(one, &second);
    write(other, &first);
}

/// A copy of a backup that something is done to.
struct Copy {
    directory: PathBuf,
}

impl Copy {
    fn of(kept: &BackedUp, id: &str, name: &str) -> (Self, String) {
        let place = kept.path(&format!("copies-{name}"));
        let directory = place.join(id);
        for (path, bytes) in end_to_end::backups::files(&kept.path("backups").join(id)) {
            let to = directory.join(path.strip_prefix(kept.path("backups").join(id)).expect("a name"));
            fs::create_dir_all(to.parent().expect("a directory")).expect("made");
            fs::write(to, bytes).expect("copied");
        }
        (Self { directory }, place.display().to_string())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// What is done to a copy.
type Harm<'a> = Box<dyn Fn(&Copy) + 'a>;

/// Whether a backup is refused with these words, and nothing is left in the database.
async fn refused(kept: &BackedUp, id: &str, empty: &Empty, settings: &[(&str, &str)], words: &str) {
    let error = kept.restore(id, empty, settings).await.expect_err(words);
    assert!(error.to_string().contains(words), "{error}, not: {words}");
    assert!(empty.is_empty().await, "{words}: half of it is there");
}

#[tokio::test]
async fn what_was_changed_moved_or_lost_is_refused_and_nothing_of_it_restored() {
    let kept = BackedUp::new().await;
    kept.world.as_owner().await.batch_execute(MANY).await.expect("rows");
    let other = kept.back_up().await;
    // The next one of the day takes its place.
    let elsewhere = fs::read(kept.path("backups").join(&other).join("patient/000000")).expect("a chunk");
    let before = contents(&kept.world.owner_config()).await;
    let id = kept.back_up().await;
    let empty = Empty::new(&kept.world).await;
    let harms: [(&str, &str, Harm<'_>); 10] = [
        (
            "flipped",
            "chunk 0 of patient is not what",
            Box::new(|copy| change(&copy.file("patient/000000"), |bytes| bytes[9] ^= 4)),
        ),
        (
            "cut",
            "chunk 1 of observation is not what",
            Box::new(|copy| change(&copy.file("observation/000001"), |bytes| bytes.truncate(99))),
        ),
        (
            "longer",
            "chunk 0 of study is not what",
            Box::new(|copy| change(&copy.file("study/000000"), |bytes| bytes.push(0))),
        ),
        (
            "missing",
            "chunk 0 of observation is missing",
            Box::new(|copy| fs::remove_file(copy.file("observation/000000")).expect("gone")),
        ),
        (
            "tail",
            "chunk 2 of observation is missing",
            Box::new(|copy| fs::remove_file(copy.file("observation/000002")).expect("gone")),
        ),
        (
            "swapped",
            "chunk 0 of observation is not what",
            Box::new(|copy| swap(&copy.file("observation/000000"), &copy.file("observation/000001"))),
        ),
        (
            "tables",
            "chunk 0 of patient is not what",
            Box::new(|copy| swap(&copy.file("patient/000000"), &copy.file("practitioner/000000"))),
        ),
        (
            "of-another",
            "chunk 0 of patient is not what",
            Box::new(|copy| write(&copy.file("patient/000000"), &elsewhere)),
        ),
        (
            "manifest",
            "the manifest is not what was signed",
            Box::new(|copy| {
                change(&copy.file("manifest.json"), |bytes| {
                    *bytes = String::from_utf8_lossy(bytes)
                        .replace("observation_feed", "x")
                        .replace("created_at", "Created_at")
                        .into_bytes();
                });
            }),
        ),
        (
            "unfinished",
            "there is no complete backup",
            Box::new(|copy| fs::remove_file(copy.file("manifest.json")).expect("gone")),
        ),
    ];
    for (name, words, harm) in harms {
        let (copy, place) = Copy::of(&kept, &id, name);
        harm(&copy);
        refused(&kept, &id, &empty, &[("BACKUP_TO", &place)], words).await;
    }
    // The same database takes the backup that nobody touched.
    kept.restore(&id, &empty, &[]).await.expect("restored");
    let found = contents_as_backed_up(&empty.0).await;
    assert!(
        found
            .iter()
            .all(|(table, contents)| before[table] == *contents
                || ["audit_event", "backup_run"].contains(&table.as_str()))
    );
}

#[tokio::test]
async fn whoever_has_not_the_key_reads_nothing_and_trusts_nobody_else() {
    let kept = BackedUp::new().await;
    let id = kept.back_up().await;
    let empty = Empty::new(&kept.world).await;
    let keys = tempfile::tempdir().expect("a directory");
    let secret = |name: &str, text: &str| {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = keys.path().join(name);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        std::io::Write::write_all(&mut file.expect("a file"), text.as_bytes()).expect("written");
        path.display().to_string()
    };
    let stranger = Identity::generate().expect("an identity").to_text().expect("a text");
    let stranger = secret("identity.txt", stranger.expose_secret());
    refused(&kept, &id, &empty, &[("BACKUP_IDENTITY_FILE", &stranger)], "wrapped for others").await;

    let pem = PrivateKey::generate().expect("a key");
    let public = PrivateKey::from_pem(&pem).expect("a key").public().to_pem();
    let public = secret("other.pem", &public);
    refused(&kept, &id, &empty, &[("BACKUP_PUBLIC_KEY_FILE", &public)], "signed by another key").await;

    // With the public half alone, on another machine, it is believed.
    let own = backup_job::public_key(&kept.world.app).await.expect("a key");
    let own = secret("own.pem", &own);
    let elsewhere = [("BACKUP_PUBLIC_KEY_FILE", own.as_str()), ("BACKUP_SIGNING_KEY_FILE", "/nowhere/key.pem")];
    kept.restore(&id, &empty, &elsewhere).await.expect("restored");
}

#[tokio::test]
async fn several_recipients_each_read_it() {
    let identities = [(); 2].map(|()| Identity::generate().expect("an identity"));
    let recipients = identities.each_ref().map(|one| one.recipient().expect("a recipient").to_text().expect("a text"));
    let kept = BackedUp::with(&[("BACKUP_RECIPIENTS", &recipients.join(","))]).await;
    let id = kept.back_up().await;
    assert!(!kept.path("keys/identity.txt").exists(), "the machine that backs up has none of their keys");
    for (number, identity) in identities.iter().enumerate() {
        let path = kept.path(&format!("{number}.txt"));
        fs::write(&path, identity.to_text().expect("a text").expose_secret()).expect("written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
        let empty = Empty::new(&kept.world).await;
        kept.restore(&id, &empty, &[("BACKUP_IDENTITY_FILE", &path.display().to_string())]).await.expect("restored");
    }
}

#[tokio::test]
async fn a_database_that_is_not_empty_stays_as_it_is() {
    let kept = BackedUp::new().await;
    let id = kept.back_up().await;
    let taken = Empty::new(&kept.world).await;
    let client = store::connect_owner(&taken.0).await.expect("the owner");
    client.batch_execute("CREATE TABLE theirs (id int); INSERT INTO theirs VALUES (7)").await.expect("a table");
    let error = kept.restore(&id, &taken, &[]).await.expect_err("refused");
    assert!(error.to_string().contains("is not empty: it has theirs"), "{error}");
    assert_eq!(taken.texts("SELECT id::text FROM theirs").await, ["7"]);
    assert_eq!(
        taken.texts("SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace").await,
        ["theirs"]
    );
    // Nor is what was restored restored again.
    let empty = Empty::new(&kept.world).await;
    kept.restore(&id, &empty, &[]).await.expect("restored");
    let error = kept.restore(&id, &empty, &[]).await.expect_err("refused");
    assert!(error.to_string().contains("is not empty"), "{error}");
}

/// Signs a changed manifest with the key of the deployment, as a later version of it would.
fn sign_anew(kept: &BackedUp, id: &str, change: impl FnOnce(&mut Manifest)) {
    let pem = fs::read_to_string(kept.path("keys/signing.pem")).expect("a key");
    let key = PrivateKey::from_pem(&pem.into()).expect("a key");
    let path = kept.path("backups").join(id).join("manifest.json");
    let mut manifest =
        SignedManifest::verified(&fs::read(&path).expect("a file"), id, key.public()).expect("a manifest");
    change(&mut manifest);
    let text = manifest.to_text().expect("a text");
    let signed = SignedManifest::new(text.clone(), key.public(), &key.sign(&message(&text)).expect("signed"));
    write(&path, &signed.to_bytes().expect("a file"));
}

#[tokio::test]
async fn a_backup_of_a_later_version_or_of_another_history_is_refused() {
    let kept = BackedUp::new().await;
    let empty = Empty::new(&kept.world).await;
    let later = kept.back_up().await;
    sign_anew(&kept, &later, |manifest| {
        manifest.migrations.push(Migration { version: 9999, name: "later".to_owned(), checksum: "1".to_owned() });
    });
    refused(&kept, &later, &empty, &[], "migration 9999, which this version does not know").await;
    let other = kept.back_up().await;
    sign_anew(&kept, &other, |manifest| manifest.migrations[4].checksum = "1".to_owned());
    refused(&kept, &other, &empty, &[], "another migration 5").await;
    let fewer = kept.back_up().await;
    sign_anew(&kept, &fewer, |manifest| manifest.tables.retain(|table| table.name != "patient"));
    refused(&kept, &fewer, &empty, &[], "disagree about patient").await;
    let counted = kept.back_up().await;
    sign_anew(&kept, &counted, |manifest| manifest.tables[3].contents.rows += 1);
    refused(&kept, &counted, &empty, &[], "after it was restored, and had").await;
}
