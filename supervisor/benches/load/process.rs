//! Processor time and memory, as the kernel counts them.

use std::{fs, time::Duration};

/// A process.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// This one.
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// Processor time so far, of all its threads.
    pub fn cpu(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        // After the name, which may hold anything, the 12th and 13th field are ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory now, and the most it ever was, in MB.
    pub fn memory(self) -> (f64, f64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

/// The value below which so many of a hundred lie.
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
