use std::os::unix::fs::PermissionsExt;
use std::thread;

use oauth::signing::SigningKey;

use super::*;
use crate::testing::Directory;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_first_start_makes_private_files() {
    let directory = Directory::new();
    let path = directory.path().join("nested");
    let secrets = Secrets::from_directory(&path, None).unwrap();
    assert!(SigningKey::from_pem(secrets.saml_key.as_ref().unwrap()).is_ok());
    assert_ne!(secrets.link_key().unwrap().expose(), secrets.form_key().unwrap().expose());
    assert_eq!(mode(&path), 0o700);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600);
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort_unstable();
    assert_eq!(names, ["factor_key", "form_key", "link_key", "payload_key", "saml_key.pem"], "no draft is left");
}

#[test]
fn the_next_start_reads_them_again() {
    let directory = Directory::new();
    let first = Secrets::from_directory(directory.path(), None).unwrap();
    let second = Secrets::from_directory(directory.path(), Some("pw".into())).unwrap();
    assert_eq!(first.link_key().unwrap().expose(), second.link_key().unwrap().expose());
    assert_eq!(first.form_key().unwrap().expose(), second.form_key().unwrap().expose());
    let pem = |secrets: &Secrets| secrets.saml_key.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!(pem(&first), pem(&second));
    assert_eq!(second.database_password.unwrap().expose_secret(), "pw");
}

#[test]
fn processes_that_start_together_agree() {
    let directory = Directory::new();
    let keys: Vec<[u8; 32]> = thread::scope(|scope| {
        let start = || *Secrets::from_directory(directory.path(), None).unwrap().link_key().unwrap().expose();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_others_may_use_is_refused() {
    let directory = Directory::new();
    Secrets::from_directory(directory.path(), None).unwrap();
    let file = directory.path().join("link_key");
    for open in [0o640, 0o604, 0o660] {
        set_mode(&file, open);
        let error = Secrets::from_directory(directory.path(), None).unwrap_err();
        assert!(matches!(error, SecretsError::Permissions(path) if path == file));
    }
    set_mode(&file, 0o600);
    set_mode(directory.path(), 0o750);
    let error = Secrets::from_directory(directory.path(), None).unwrap_err();
    assert!(matches!(error, SecretsError::Permissions(path) if path == directory.path()));
    set_mode(directory.path(), 0o700);
    assert!(Secrets::from_directory(directory.path(), None).is_ok());
}

#[test]
fn a_damaged_key_is_refused_and_not_replaced() {
    let directory = Directory::new();
    Secrets::from_directory(directory.path(), None).unwrap();
    let file = directory.path().join("form_key");
    fs::write(&file, "damaged").unwrap();
    let error = Secrets::from_directory(directory.path(), None).unwrap_err();
    assert!(matches!(error, SecretsError::NotAKey("form_key")));
    assert_eq!(fs::read_to_string(&file).unwrap(), "damaged");
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let directory = Directory::new();
    let path = directory.file("taken", "");
    let error = Secrets::from_directory(Path::new(&path), None).unwrap_err();
    assert!(matches!(error, SecretsError::Path { .. }));
}
