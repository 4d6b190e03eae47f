//! Runs other programs.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

/// Which of a program's lines tell how it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Closing {
    /// From the last line that has this in it to the end.
    From(&'static str),
    /// Each line that begins with this.
    Each(&'static str),
    /// The last line that isn't blank.
    Last,
}

impl Closing {
    fn pick(self, lines: &[String]) -> Vec<String> {
        let mut written = lines.iter().filter(|line| !line.trim().is_empty());
        match self {
            Self::From(mark) => {
                let begin = lines.iter().rposition(|line| line.contains(mark)).unwrap_or(lines.len());
                lines[begin..].iter().map(|line| line.trim_end().to_owned()).collect()
            }
            Self::Each(beginning) => written.filter(|line| line.starts_with(beginning)).cloned().collect(),
            Self::Last => written.next_back().cloned().into_iter().collect(),
        }
    }
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) succeeded: bool,
    pub(crate) closing: Vec<String>,
}

/// `program` with `root` as its folder.
pub(crate) fn command(root: &Path, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).args(args);
    command
}

/// The cargo that runs this.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Command {
    command(root, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Runs to the end and says whether it succeeded; `Err` tells that it couldn't be started.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, String> {
    command.status().map(|status| status.success()).map_err(|error| not_started(command, &error))
}

/// Runs to the end and gives what it printed to standard output, when it succeeded.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{command:?} failed: {}", output.status)) }
}

/// Runs to the end, shows what it prints, and keeps the closing lines.
pub(crate) fn watch(command: &mut Command, closing: Closing) -> Result<Ended, String> {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| not_started(command, &error))?;
    let lines = Mutex::new(Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| stdout.map(|stdout| relay(stdout, &lines)));
        scope.spawn(|| stderr.map(|stderr| relay(stderr, &lines)));
    });
    let status = child.wait().map_err(|error| not_started(command, &error))?;
    let lines = lines.into_inner().unwrap_or_default();
    Ok(Ended { succeeded: status.success(), closing: closing.pick(&lines) })
}

fn relay(stream: impl Read, lines: &Mutex<Vec<String>>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        // Whoever reads this may have gone; the program still runs to its end.
        let _ = writeln!(std::io::stdout(), "{line}");
        if let Ok(mut lines) = lines.lock() {
            lines.push(line);
        }
    }
}

fn not_started(command: &Command, error: &std::io::Error) -> String {
    format!("{} can't be run: {error}", command.get_program().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn closing_lines_are_those_that_tell_the_end() {
        let nextest = lines("Summary [0s] printed by a test\nSummary [1s] 2 tests run: 1 passed, 1 failed\nFAIL b\n");
        assert_eq!(Closing::From("Summary [").pick(&nextest), nextest[1..]);
        let cargo = lines("test result: ok. 1 passed\nrunning 1 test\ntest result: FAILED. 0 passed\nerror\n");
        assert_eq!(Closing::Each("test result:").pick(&cargo), [cargo[0].clone(), cargo[2].clone()]);
        assert_eq!(Closing::Last.pick(&lines("..\n3 passed in 0.1s\n\n")), ["3 passed in 0.1s"]);
        assert!(Closing::From("Summary [").pick(&cargo).is_empty());
    }

    #[test]
    fn a_program_is_watched_to_its_end() {
        let ended = watch(&mut command(Path::new("/"), "sh", &["-c", "echo a; echo b >&2; exit 3"]), Closing::Last);
        let ended = ended.unwrap();
        assert!(!ended.succeeded && ended.closing.len() == 1);
        assert!(watch(&mut command(Path::new("/"), "no-such-program", &[]), Closing::Last).is_err());
    }
}
