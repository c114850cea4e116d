//! The data folder, closed to everybody but its owner: carriers' passwords, webhooks' secrets and people's numbers are
//! in it in clear. A folder that is open to others is closed; one that cannot be closed is refused.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use crate::{Result, StoreError};

/// The mode of the folder: its owner may do everything, others nothing.
const CLOSED: u32 = 0o700;
/// The bits of a mode that let others in.
const OTHERS: u32 = 0o077;
/// Folders that everybody shares by design (FHS 3.0 §3.18, §4.8.2, §5.15; `/dev/shm` of glibc): closing one would break
/// the machine for others.
const EVERYBODYS: [&str; 8] =
    ["/", "/tmp", "/var/tmp", "/usr/tmp", "/dev/shm", "/run/lock", "/var/lock", "/var/crash"];

/// Creates `folder` if it is missing, and closes it if it is open to others.
pub(super) fn closed(folder: &Path) -> Result<()> {
    let refuse = |what: &str, e: io::Error| {
        StoreError::Folder(format!("the data folder {} {what}: {e}", folder.display()))
    };
    if let Some(parent) = folder.parent() {
        // The folders above it belong to others too; their modes are the system's affair.
        fs::create_dir_all(parent).map_err(|e| refuse("cannot be made", e))?;
    }
    match DirBuilder::new().mode(CLOSED).create(folder) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(refuse("cannot be made", e)),
    }
    let found = fs::metadata(folder).map_err(|e| refuse("cannot be read", e))?;
    if !found.is_dir() {
        return Err(StoreError::Folder(format!("{} is a file; name a folder", folder.display())));
    }
    let mode = found.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    if folder.canonicalize().is_ok_and(|whole| EVERYBODYS.iter().any(|shared| whole == Path::new(shared))) {
        return Err(StoreError::Folder(format!(
            "{} is shared by everybody on this machine; give the data a folder of its own",
            folder.display()
        )));
    }
    fs::set_permissions(folder, Permissions::from_mode(CLOSED)).map_err(|e| {
        refuse(&format!("is open to others (mode {:04o}) and cannot be closed", mode & 0o7777), e)
    })?;
    tracing::warn!(
        "the data folder {} was open to others (mode {:04o}); it is now its owner's alone (0700)",
        folder.display(),
        mode & 0o7777
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_folder_is_its_owners_alone_and_a_wide_one_is_closed() {
        let above = tempfile::tempdir().unwrap();
        let new = above.path().join("several/deep");
        closed(&new).unwrap();
        assert_eq!(mode(&new), CLOSED);
        // The last one is a freshly mounted tmpfs, such as a container's.
        for wide in [0o755, 0o777, 0o750, 0o701, 0o710, 0o770, 0o2755, 0o1777] {
            fs::set_permissions(&new, Permissions::from_mode(wide)).unwrap();
            closed(&new).unwrap();
            assert_eq!(mode(&new), CLOSED, "{wide:o}");
        }
        fs::set_permissions(&new, Permissions::from_mode(0o500)).unwrap();
        closed(&new).unwrap();
        assert_eq!(mode(&new), 0o500, "one that is closed already is left as it is");
    }

    #[test]
    fn a_folder_that_is_everybodys_is_refused_and_left_as_it_is() {
        for shared in ["/", "/tmp", "/tmp/../tmp/", "/var/tmp", "/dev/shm"] {
            let before = mode(Path::new(shared));
            let refused = closed(Path::new(shared)).unwrap_err().to_string();
            assert!(refused.contains("give the data a folder of its own"), "{refused}");
            assert_eq!(mode(Path::new(shared)), before);
        }
    }

    #[test]
    fn what_is_no_folder_is_refused_with_its_name() {
        let above = tempfile::tempdir().unwrap();
        let file = above.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(closed(&file.join("data")).unwrap_err().to_string().contains("file/data"));
        assert!(closed(&file).unwrap_err().to_string().contains("is a file"));
        assert_eq!(mode(&file) & 0o111, 0, "the file is left as it is");
    }
}
