//! The machine: what it is, whether it is idle, and what a process takes of it (Linux).

use std::time::Duration;

/// For how long to look whether the machine is idle.
const LOOK: Duration = Duration::from_secs(2);
/// The share of all cores' time that must be idle: beside other work, frames are late and rates are anything.
const IDLE: f64 = 0.9;
/// `/proc/PID/stat` counts in hundredths of a second (`USER_HZ`, the same on every architecture that we build for).
const TICKS: f64 = 100.0;

/// Prints what this runs on.
pub fn say_machine() {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ")).map_or("?", |m| m.1);
    println!("{} cores, {model}", cores());
}

/// The cores of the machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Refuses to go on where the machine does something else: takes two seconds.
///
/// # Errors
/// Where less than 90 % of it is idle.
pub fn ensure_idle() -> anyhow::Result<()> {
    let before = std::fs::read_to_string("/proc/stat")?;
    std::thread::sleep(LOOK);
    let idle = idle_share(&before, &std::fs::read_to_string("/proc/stat")?).unwrap_or(0.0);
    anyhow::ensure!(
        idle >= IDLE,
        "not measured: the machine is only {:.0} % idle, and beside other work the figures would mean nothing. End what \
         else runs, until at least {:.0} % are idle for two seconds, and start again",
        idle * 100.0,
        IDLE * 100.0
    );
    Ok(())
}

/// The share of all cores' time between two readings of `/proc/stat` in which nothing ran.
fn idle_share(before: &str, after: &str) -> Option<f64> {
    let read = |text: &str| {
        let times = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // Guests' time, from the ninth on, is in the user's time already.
        let times: Vec<u64> = times.split_whitespace().take(8).map_while(|time| time.parse().ok()).collect();
        Some((*times.get(3)?, times.iter().sum::<u64>()))
    };
    let ((idle_before, all_before), (idle, all)) = (read(before)?, read(after)?);
    let passed = all.checked_sub(all_before).filter(|passed| *passed > 0)?;
    Some(idle.saturating_sub(idle_before) as f64 / passed as f64)
}

/// The processor time that a process has taken so far, in seconds; `self` is this one.
pub fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    cpu_in(&stat).unwrap_or_default()
}

/// User and system time, the 14th and 15th field; the second is a name in parentheses that may hold anything.
fn cpu_in(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(f64::from(user + system) / TICKS)
}

/// Memory of this process in KiB, by its name in `/proc/self/status`: `VmRSS` now, `VmHWM` at its peak.
pub fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_share_is_of_all_time_between_two_readings() {
        let before = "cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1 2 3 4\n";
        for (after, share) in [
            ("cpu  110 0 60 980 50 0 0 0 9 0\n", Some(0.9)),
            ("cpu  300 0 50 800 50 0 0 0 7 0\n", Some(0.0)),
            // Waiting for the disk is not idle.
            ("cpu  100 0 50 900 150 0 0 0 7 0\n", Some(0.5)),
            (before, None),
            ("", None),
        ] {
            assert_eq!(idle_share(before, after), share, "{after}");
        }
    }

    #[test]
    fn processor_time_is_read_behind_whatever_the_process_is_called() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 100 0 0";
        assert_eq!(cpu_in(stat), Some(3.0));
        assert_eq!(cpu_in(""), None);
    }
}
