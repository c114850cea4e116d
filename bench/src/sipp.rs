//! Debian's `sipp` as a far end or a caller that is not ours, in a process of its own.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The longest wait for its socket.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// A `sipp`. Dropping it ends it.
pub struct Sipp {
    child: Child,
    /// Where it listens, on loopback.
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that it took part in.
    pub created: i64,
    /// Those that did not go as its scenario says.
    pub failed: i64,
}

/// Makes sure that it is installed.
///
/// # Errors
/// With the name of the package.
pub fn ensure_installed() -> anyhow::Result<()> {
    let found = Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    anyhow::ensure!(found.is_ok(), "not measured: sipp is not installed; Debian's package sip-tester has it");
    Ok(())
}

impl Sipp {
    /// Starts it over UDP with these arguments, and waits for its socket.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(args: &[&str]) -> anyhow::Result<Self> {
        let folder = crate::folder()?;
        let port = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("sipp")
            .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin", "-trace_stat", "-fd", "1"])
            // What its socket drops, it takes for our fault.
            .args(["-stf", "counts.csv", "-buff_size", "4194304"])
            .args(args)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let sipp = Self { child, port, folder };
        let bound = format!("0100007F:{port:04X} ");
        let end = Instant::now() + STARTS_WITHIN;
        while !std::fs::read_to_string("/proc/net/udp")?.contains(&bound) {
            anyhow::ensure!(Instant::now() < end, "sipp does not open its socket");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(sipp)
    }

    /// The processor time that it has taken, in seconds.
    pub fn cpu(&self) -> f64 {
        crate::machine::cpu(&self.child.id().to_string())
    }

    /// What it has counted, up to a second ago.
    pub fn counts(&self) -> Counts {
        let table = std::fs::read_to_string(self.folder.path().join("counts.csv")).unwrap_or_default();
        counts(&table).unwrap_or_default()
    }
}

/// The last line's totals, by the names in the first.
fn counts(table: &str) -> Option<Counts> {
    let (names, last) = (table.lines().next()?, table.lines().skip(1).last()?);
    let value = |name: &str| last.split(';').nth(names.split(';').position(|n| n == name)?)?.parse().ok();
    Some(Counts { created: value("TotalCallCreated")?, failed: value("FailedCall(C)")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_counts_are_read_by_name() {
        let table = "StartTime;TotalCallCreated;FailedCall(P);FailedCall(C)\na;1;0;0\nb;12;0;3\n";
        assert_eq!(counts(table), Some(Counts { created: 12, failed: 3 }));
        assert_eq!(counts("StartTime;TotalCallCreated\n"), None);
        assert_eq!(counts(""), None);
    }
}
