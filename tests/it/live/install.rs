//! Asterisk from Debian's packages, in a folder of its own: nothing of this machine but its kernel is used or changed.
//!
//! Half a gigabyte, so it is done only when asked for, and kept for the next time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder to install into, or where it was installed before.
const VARIABLE: &str = "ASTERISK";

/// Suites of Debian that have an Asterisk, the newest first.
const SUITES: [&str; 2] = ["sid", "bullseye"];

/// Where it is installed; an error says why it is not, for whoever runs the tests.
pub(super) fn installed() -> Result<PathBuf, String> {
    let Some(folder) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        return Err(format!("{VARIABLE}=FOLDER installs an Asterisk there (500 MB, as root) and makes calls on it"));
    };
    if !rustix::process::geteuid().is_root() {
        return Err("only root can install and run an Asterisk in a folder".to_owned());
    }
    let folder = std::path::absolute(folder).map_err(|e| e.to_string())?;
    if folder.join("usr/sbin/asterisk").exists() {
        return Ok(folder);
    }
    if run(Command::new("debootstrap").arg("--version")).is_err() {
        let packages = ["update -q", "install -y -q --no-install-recommends debootstrap"];
        for package in packages {
            run(Command::new("apt-get").args(package.split(' ')).env("DEBIAN_FRONTEND", "noninteractive"))
                .map_err(|why| format!("there is no debootstrap, and it cannot be installed: {why}"))?;
        }
    }
    let mut failed = String::new();
    for suite in SUITES {
        match install(suite, &folder) {
            Ok(()) => return Ok(folder),
            Err(why) => failed = format!("{failed}\n{suite}: {why}"),
        }
        // What is half there would be taken for whole.
        drop(std::fs::remove_dir_all(&folder));
    }
    Err(format!("Asterisk cannot be installed (its packages come from Debian's servers):{failed}"))
}

fn install(suite: &str, folder: &Path) -> Result<(), String> {
    run(Command::new("debootstrap").arg("--variant=minbase").arg(suite).arg(folder))?;
    let apt = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "asterisk", "asterisk-core-sounds-en-gsm"];
    run(Command::new("chroot").arg(folder).args(apt).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Runs it to its end; an error is the end of what it said.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    Err(format!("{name} ended with {}: {}", output.status, last.into_iter().rev().collect::<Vec<_>>().join(" / ")))
}
