//! What the measurements ran on.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Names and values for the report.
pub fn describe(repository: &Path) -> Vec<(String, String)> {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| field(&processor, name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = format!(
        "{}, family {} model {}",
        field("model name"),
        field("cpu family"),
        field("model").replace("model name", "")
    );
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = |name: &str, value: String| (name.to_owned(), value);
    vec![
        line("processor", model),
        line("processors", cores.to_string()),
        line("caches", caches()),
        line("memory", self::field(&memory, "MemTotal")),
        line("kernel", output(Command::new("uname").args(["-s", "-r"]))),
        line("compiler", output(Command::new("rustc").arg("--version"))),
        line(
            "xent",
            output(Command::new("git").arg("-C").arg(repository).args(["describe", "--always", "--dirty"])),
        ),
    ]
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> String {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    values.next().unwrap_or("unknown").to_owned()
}

fn caches() -> String {
    let read = |index: usize, name: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
        fs::read_to_string(path).map(|text| text.trim().to_owned()).ok()
    };
    let cache =
        |index| Some(format!("L{} {} {}", read(index, "level")?, read(index, "type")?, read(index, "size")?));
    let caches: Vec<String> = (0..4).filter_map(cache).collect();
    if caches.is_empty() { "unknown".to_owned() } else { caches.join(", ") }
}

fn output(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
