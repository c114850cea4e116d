//! A place where data lies, told apart from any place that it was copied to. In containers neither the machine nor the
//! path can tell: both are the same in each. The file can: a copy of it was created at another moment, whatever its
//! other dates, and a folder that is moved or mounted elsewhere still holds that file.
//!
//! Leaves: a disk that was cloned whole, with its machine's id, is the same place to anyone who looks from inside.

use std::{env, fs, path::Path, time::UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Result, StoreError};

/// Files by which container engines mark a container.
const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
/// Variables that they set for every process: podman, LXC and systemd-nspawn; Kubernetes.
const CONTAINER_VARIABLES: [&str; 2] = ["container", "KUBERNETES_SERVICE_HOST"];

/// A machine, a file and a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// A hash of the machine's id; none if it has no id, or the id is a container's.
    machine: Option<String>,
    file: Identity,
    path: String,
}

/// Which file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Identity {
    /// When the file was created, in nanoseconds since 1970.
    Born(String),
    /// The file's inode where its file system keeps no such time; another file system may use the same one.
    Inode(u64),
}

fn broken(e: impl std::fmt::Display) -> StoreError {
    StoreError::Database(e.to_string())
}

fn hash(parts: [&[u8]; 2]) -> String {
    format!("{:x}", Sha256::digest(parts.join(&0)))
}

fn machine_id() -> String {
    fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

fn in_container() -> bool {
    CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists())
        || CONTAINER_VARIABLES.iter().any(|name| env::var_os(name).is_some())
}

impl Place {
    /// The place of `file`.
    pub(super) fn of(file: &Path) -> Result<Self> {
        use std::os::unix::fs::MetadataExt as _;

        let found = fs::metadata(file).map_err(broken)?;
        let born = found.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let machine = machine_id();
        let known = !(machine.is_empty() || in_container());
        Ok(Self {
            // The id itself must stay on the machine (machine-id(5)).
            machine: known.then(|| hash([b"carillon", machine.as_bytes()])),
            file: born
                .map_or(Identity::Inode(found.ino()), |born| Identity::Born(born.as_nanos().to_string())),
            path: file.canonicalize().map_err(broken)?.to_string_lossy().into_owned(),
        })
    }

    /// Whether this is `home`.
    pub(super) fn is(&self, home: &Self) -> bool {
        let elsewhere = self.machine.as_ref().zip(home.machine.as_ref()).is_some_and(|(a, b)| a != b);
        let certain = matches!(self.file, Identity::Born(_)) || self.path == home.path;
        !elsewhere && self.file == home.file && certain
    }

    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(broken)
    }

    pub(super) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// A folder's place as earlier versions stored it: machine and path alone.
    pub(super) fn as_first_written(folder: &Path) -> Result<String> {
        let path = folder.canonicalize().map_err(broken)?;
        Ok(hash([machine_id().as_bytes(), path.as_os_str().as_encoded_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(machine: &str, file: &Identity, path: &str) -> Place {
        let machine = (!machine.is_empty()).then(|| machine.to_owned());
        Place { machine, file: file.clone(), path: path.to_owned() }
    }

    #[test]
    fn the_same_file_is_at_home_wherever_it_is_seen_from_and_a_copy_nowhere() {
        let [this, copy] = ["1", "2"].map(|ns| Identity::Born(ns.to_owned()));
        let [number, other] = [7, 8].map(Identity::Inode);
        let home = place("a", &this, "/srv/db");
        for (why, here, home, same) in [
            ("itself", home.clone(), &home, true),
            ("mounted elsewhere, in a container", place("", &this, "/data/db"), &home, true),
            ("moved on its file system", place("a", &this, "/srv/new/db"), &home, true),
            ("copied to the same path in a container", place("", &copy, "/srv/db"), &home, false),
            ("copied to another path", place("a", &copy, "/srv/copy/db"), &home, false),
            ("copied, and put back where it was", place("a", &copy, "/srv/db"), &home, false),
            ("the disk of another machine", place("b", &this, "/srv/db"), &home, false),
            ("in a container again", place("", &this, "/data/db"), &place("", &this, "/data/db"), true),
            (
                "a copy in the same container",
                place("", &copy, "/data/db"),
                &place("", &this, "/data/db"),
                false,
            ),
            ("no time of birth", place("a", &number, "/srv/db"), &place("a", &number, "/srv/db"), true),
            (
                "no time of birth, another path",
                place("a", &number, "/b/db"),
                &place("a", &number, "/srv/db"),
                false,
            ),
            (
                "no time of birth, a copy",
                place("a", &other, "/srv/db"),
                &place("a", &number, "/srv/db"),
                false,
            ),
            ("a file system that lost it", place("a", &number, "/srv/db"), &home, false),
        ] {
            assert_eq!(here.is(home), same, "{why}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_written_and_a_mark_is_no_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let here = Place::of(file.path()).unwrap();
        assert_eq!(Place::from_json(&here.to_json().unwrap()), Some(here.clone()));
        assert!(here.is(&here));
        for none in ["backup", "", "{}", &hash([b"", b"/srv"])] {
            assert_eq!(Place::from_json(none), None);
        }
    }
}
