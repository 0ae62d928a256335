//! Whether the storage of a database is encrypted: by the provider's word, or where the database is on this machine by the
//! devices under its directory.

use super::{Subject, Target, Verdict, provider};
use std::{
    fs,
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
    match fs::metadata(directory) {
        Err(error) => Verdict::NotCheckable(format!("{} cannot be read: {error}", directory.display())),
        Ok(metadata) => {
            let (major, minor) = device_numbers(metadata.dev());
            by_devices(Path::new("/sys/dev/block"), major, minor)
        }
    }
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
    if encrypted_below(&device, 0) {
        Verdict::Pass("the devices under the directory are encrypted by dm-crypt".to_owned())
    } else {
        Verdict::Fail(format!("the device {major}:{minor} is not encrypted by dm-crypt, nor is what it lies on"))
    }
}

/// Each device in the row lies on all of its `slaves`: all have to be encrypted, if it is not so itself.
fn encrypted_below(device: &Path, depth: usize) -> bool {
    /// More layers than anybody stacks.
    const DEEPEST: usize = 8;
    let uuid = fs::read_to_string(device.join("dm/uuid")).unwrap_or_default();
    if uuid.starts_with("CRYPT-") {
        return true;
    }
    // A partition has what its disk lies on.
    let disk = fs::canonicalize(device).ok().and_then(|path| path.parent().map(Path::to_owned));
    let of = |directory: &Path| -> Vec<PathBuf> {
        fs::read_dir(directory.join("slaves")).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let mut below = of(device);
    if below.is_empty() && device.join("partition").exists() {
        below = disk.as_deref().map(of).unwrap_or_default();
    }
    depth < DEEPEST && !below.is_empty() && below.iter().all(|device| encrypted_below(device, depth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Devices by their numbers: the name that dm gives them, and what they lie on.
    fn devices(all: &[(&str, &str, &[&str])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (number, uuid, below) in all {
            let device = directory.path().join(number);
            fs::create_dir_all(device.join("dm")).unwrap();
            fs::create_dir_all(device.join("slaves")).unwrap();
            fs::write(device.join("dm/uuid"), uuid).unwrap();
            for other in *below {
                std::os::unix::fs::symlink(directory.path().join(other), device.join("slaves").join(other)).unwrap();
            }
        }
        directory
    }

    #[test]
    fn a_device_is_encrypted_when_it_is_or_when_all_that_it_lies_on_is() {
        let luks = "CRYPT-LUKS2-0123-data";
        for (expected, all) in [
            ("pass", &[("253:0", luks, &[][..])][..]),
            ("pass", &[("253:0", "LVM-abc", &["253:1"]), ("253:1", luks, &["8:1"]), ("8:1", "", &[])]),
            ("fail", &[("253:0", "", &[])]),
            ("fail", &[("253:0", "LVM-abc", &["8:1"]), ("8:1", "", &[])]),
            ("fail", &[("253:0", "LVM-abc", &["253:1", "8:2"]), ("253:1", luks, &[]), ("8:2", "", &[])]),
            ("fail", &[("253:0", "LVM-loop", &["253:0"])]),
            ("not checkable", &[("8:1", luks, &[])]),
        ] {
            let directory = devices(all);
            assert_eq!(by_devices(directory.path(), 253, 0).word(), expected, "{all:?}");
        }
    }

    #[test]
    fn a_device_number_has_two_parts() {
        assert_eq!(device_numbers(0xfd00), (253, 0));
        assert_eq!(device_numbers(0x0801), (8, 1));
        assert_eq!(device_numbers(0x0010_3005), (48, 261));
    }
}
