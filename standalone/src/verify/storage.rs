//! Whether the storage of a database is encrypted: by the provider's word, or where the database is on this machine by the
//! devices under its directory.

use super::{Subject, Target, Verdict, provider};
use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Encryption at rest.
pub(super) fn encrypted(subject: &Subject) -> Verdict {
    if !matches!(subject.target, Target::SelfHosted | Target::Local) {
        return provider::encrypted(subject);
    }
    let Some(directory) = &subject.given.data_directory else {
        return Verdict::NotCheckable(
            "no session sees it; run this on the machine of the database with --data-directory".to_owned(),
        );
    };
    match devices_of(directory) {
        Err(error) => Verdict::NotCheckable(format!("{} cannot be read: {error}", directory.display())),
        Ok(None) => Verdict::NotCheckable(format!("{} is no directory of PostgreSQL", directory.display())),
        Ok(Some(found)) => {
            let verdicts =
                found.into_iter().map(|(major, minor)| by_devices(Path::new("/sys/dev/block"), major, minor));
            worst(verdicts.collect())
        }
    }
}

/// The devices of a directory of PostgreSQL: the log of changes and each tablespace can be on another one. None: it is no such directory.
fn devices_of(directory: &Path) -> io::Result<Option<BTreeSet<(u64, u64)>>> {
    if !directory.join("PG_VERSION").try_exists()? {
        return Ok(None);
    }
    let mut places: Vec<PathBuf> = ["", "base", "global", "pg_wal"].map(|name| directory.join(name)).into();
    for tablespace in fs::read_dir(directory.join("pg_tblspc"))? {
        places.push(tablespace?.path());
    }
    let devices = places.iter().map(|place| Ok(device_numbers(fs::metadata(place)?.dev())));
    devices.collect::<io::Result<_>>().map(Some)
}

/// What counts of several: one that is not encrypted, else one that is not seen.
fn worst(mut verdicts: Vec<Verdict>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Fail(_) => 0,
        Verdict::NotCheckable(_) => 1,
        Verdict::Pass(_) => 2,
    };
    verdicts.sort_by_key(rank);
    verdicts.into_iter().next().unwrap_or_else(|| Verdict::NotCheckable("there is no device".to_owned()))
}

/// The number of a device in two parts, as Linux writes it.
const fn device_numbers(device: u64) -> (u64, u64) {
    ((device >> 8) & 0xfff | (device >> 32) & !0xfff, device & 0xff | (device >> 12) & !0xff)
}

/// Whether a device, or one that it lies on, is encrypted by dm-crypt (LUKS). `devices` is `/sys/dev/block`.
#[must_use]
pub fn by_devices(devices: &Path, major: u64, minor: u64) -> Verdict {
    let device = devices.join(format!("{major}:{minor}"));
    if !device.exists() {
        return Verdict::NotCheckable(format!(
            "the directory is on no block device ({major}:{minor}): a network or container file system"
        ));
    }
    match layer(&device, 0) {
        Layer::Encrypted => Verdict::Pass("the devices under the directory are encrypted by dm-crypt".to_owned()),
        Layer::Clear => {
            Verdict::Fail(format!("the device {major}:{minor} is not encrypted by dm-crypt, nor is what it lies on"))
        }
        Layer::Unknown(why) => Verdict::NotCheckable(format!("the device {major}:{minor}: {why}")),
    }
}

/// What is seen of a device.
enum Layer {
    Encrypted,
    Clear,
    Unknown(String),
}

/// The kinds of dm-crypt that encrypt.
const ENCRYPTING: [&str; 7] = ["LUKS1-", "LUKS2-", "PLAIN-", "LOOPAES-", "TCRYPT-", "BITLK-", "FVAULT2-"];

/// The kinds that have the same prefix, and only find changes: what they lie on counts.
const CHECKING: [&str; 2] = ["VERITY-", "INTEGRITY-"];

/// Disks, by the beginnings of their names. Of another device, a loop or one of a network, nobody sees here what it lies on.
const DISKS: [&str; 6] = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk"];

/// Each device in the row lies on all of its `slaves`: all have to be encrypted, if it is not so itself.
fn layer(device: &Path, depth: usize) -> Layer {
    /// More layers than anybody stacks.
    const DEEPEST: usize = 8;
    seen(device, depth, DEEPEST).unwrap_or_else(|error| Layer::Unknown(error.to_string()))
}

fn seen(device: &Path, depth: usize, deepest: usize) -> io::Result<Layer> {
    let uuid = text(&device.join("dm/uuid"))?;
    if let Some(kind) = uuid.strip_prefix("CRYPT-") {
        if ENCRYPTING.iter().any(|known| kind.starts_with(known)) {
            return Ok(Layer::Encrypted);
        }
        if !CHECKING.iter().any(|known| kind.starts_with(known)) {
            return Ok(Layer::Unknown(format!("{uuid} is no kind of dm-crypt that is known here")));
        }
    }
    let mut below = slaves(device)?;
    if below.is_empty() && device.join("partition").try_exists()? {
        // A partition has what its disk lies on.
        if let Some(disk) = fs::canonicalize(device)?.parent() {
            below = slaves(disk)?;
        }
    }
    if below.is_empty() {
        let name = text(&device.join("uevent"))?;
        let name = name.lines().find_map(|line| line.strip_prefix("DEVNAME=")).unwrap_or("it has no name");
        let is_disk = DISKS.iter().any(|known| name.starts_with(known));
        return Ok(if is_disk {
            Layer::Clear
        } else {
            Layer::Unknown(format!("{name} is no kind of disk that is known"))
        });
    }
    if depth >= deepest {
        return Ok(Layer::Unknown("it lies on too many others".to_owned()));
    }
    let mut unknown = None;
    for lower in below {
        match layer(&lower, depth + 1) {
            Layer::Clear => return Ok(Layer::Clear),
            Layer::Unknown(why) => unknown = Some(why),
            Layer::Encrypted => {}
        }
    }
    Ok(unknown.map_or(Layer::Encrypted, Layer::Unknown))
}

/// What a file says; nothing where there is none.
fn text(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

/// What a device lies on.
fn slaves(device: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(device.join("slaves")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Devices by their numbers: the name that dm gives them, or that of a disk, and what they lie on.
    fn devices(all: &[(&str, &str, &[&str])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (number, name, below) in all {
            let device = directory.path().join(number);
            fs::create_dir_all(device.join("slaves")).unwrap();
            if name.contains('-') {
                fs::create_dir_all(device.join("dm")).unwrap();
                fs::write(device.join("dm/uuid"), name).unwrap();
            } else {
                fs::write(device.join("uevent"), format!("MAJOR=8\nDEVNAME={name}\n")).unwrap();
            }
            for other in *below {
                std::os::unix::fs::symlink(directory.path().join(other), device.join("slaves").join(other)).unwrap();
            }
        }
        directory
    }

    #[test]
    fn a_device_is_encrypted_when_it_is_or_when_all_that_it_lies_on_is() {
        let luks = "CRYPT-LUKS2-0123-data";
        let lvm = "LVM-abc";
        for (expected, all) in [
            ("pass", &[("253:0", luks, &[][..])][..]),
            ("pass", &[("253:0", lvm, &["253:1"]), ("253:1", luks, &["8:1"]), ("8:1", "sda1", &[])]),
            ("pass", &[("253:0", "CRYPT-VERITY-0123-data", &["253:1"]), ("253:1", luks, &[])]),
            ("fail", &[("253:0", "nvme0n1", &[])]),
            ("fail", &[("253:0", lvm, &["8:1"]), ("8:1", "sda1", &[])]),
            ("fail", &[("253:0", lvm, &["253:1", "8:2"]), ("253:1", luks, &[]), ("8:2", "sdb", &[])]),
            ("fail", &[("253:0", lvm, &["7:0", "8:2"]), ("7:0", "loop0", &[]), ("8:2", "sdb", &[])]),
            // These have the prefix, and encrypt nothing.
            ("fail", &[("253:0", "CRYPT-VERITY-0123-data", &["8:1"]), ("8:1", "sda1", &[])]),
            ("fail", &[("253:0", "CRYPT-INTEGRITY-data", &["8:1"]), ("8:1", "vda1", &[])]),
            ("not checkable", &[("253:0", "CRYPT-NEWKIND-data", &[])]),
            ("not checkable", &[("253:0", "loop0", &[])]),
            ("not checkable", &[("253:0", "rbd0", &[])]),
            ("not checkable", &[("253:0", lvm, &["253:1", "7:0"]), ("253:1", luks, &[]), ("7:0", "loop0", &[])]),
            ("not checkable", &[("253:0", "LVM-loop", &["253:0"])]),
            ("not checkable", &[("253:0", lvm, &[])]),
            ("not checkable", &[("8:1", luks, &[])]),
        ] {
            let directory = devices(all);
            assert_eq!(by_devices(directory.path(), 253, 0).word(), expected, "{all:?}");
        }
    }

    #[test]
    fn what_a_device_says_and_cannot_be_read_is_not_seen() {
        let directory = devices(&[("253:0", "LVM-abc", &["253:1"]), ("253:1", "CRYPT-LUKS2-0123-data", &[])]);
        assert_eq!(by_devices(directory.path(), 253, 0).word(), "pass");
        fs::write(directory.path().join("253:1/dm/uuid"), [0xff]).unwrap();
        assert_eq!(by_devices(directory.path(), 253, 0).word(), "not checkable");
    }

    #[test]
    fn each_place_of_a_database_counts_and_another_directory_is_none() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path();
        assert_eq!(devices_of(data).unwrap(), None);
        fs::write(data.join("PG_VERSION"), "15").unwrap();
        for name in ["base", "global", "pg_tblspc"] {
            fs::create_dir(data.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("/sys", data.join("pg_wal")).unwrap();
        let of = |path: &str| device_numbers(fs::metadata(path).unwrap().dev());
        let own = of(data.to_str().unwrap());
        assert_eq!(devices_of(data).unwrap(), Some(BTreeSet::from([own, of("/sys")])));
        std::os::unix::fs::symlink("/proc", data.join("pg_tblspc/1")).unwrap();
        assert_eq!(devices_of(data).unwrap(), Some(BTreeSet::from([own, of("/sys"), of("/proc")])));
        std::os::unix::fs::symlink("/nowhere", data.join("pg_tblspc/2")).unwrap();
        assert!(devices_of(data).is_err());
    }

    #[test]
    fn of_several_devices_the_worst_counts() {
        let all = || {
            let said = String::new;
            [Verdict::Pass(said()), Verdict::NotCheckable(said()), Verdict::Fail(said())]
        };
        let word = |count: usize| worst(all().into_iter().take(count).collect()).word();
        assert_eq!((word(0), word(1), word(2), word(3)), ("not checkable", "pass", "not checkable", "fail"));
    }

    #[test]
    fn a_device_number_has_two_parts() {
        assert_eq!(device_numbers(0xfd00), (253, 0));
        assert_eq!(device_numbers(0x0801), (8, 1));
        assert_eq!(device_numbers(0x0010_3005), (48, 261));
    }
}
