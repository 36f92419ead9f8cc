//! Finding Python and installing: from the package registry the first time, from the finished folder afterwards.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use toolbox::{Progress, Set, Silent, Tools};

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Progress for Lines {
    fn step(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

/// A stand-in for a Python that prints `answer` to whatever it is asked.
fn pretend_python(folder: &Path, name: &str, answer: &str) -> std::ffi::OsString {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.into_os_string()
}

async fn refusal(python: std::ffi::OsString) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = toolbox::install_in(folder.path(), Set::Cloud, Some(python), &Silent).await.unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a refusal leaves nothing behind");
    error.to_string()
}

#[tokio::test]
async fn a_missing_python_is_one_clear_line() {
    let line = refusal("/nonexistent/python3".into()).await;
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("Python 3.11 or newer with venv and pip is needed (none was found)"), "{line}");
    assert!(line.contains("python3-venv") && line.contains("TIDEMARK_PYTHON"), "{line}");
}

#[tokio::test]
async fn an_unfit_python_is_one_clear_line_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for (answer, reason) in
        [("3 9 ensurepip", "is 3.9)"), ("3 11 none", "(3.11) has no venv or no pip)"), ("", "does not run)")]
    {
        let line = refusal(pretend_python(folder.path(), "python3", answer)).await;
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains(reason), "{line}");
    }
}

#[tokio::test]
async fn a_failing_install_shows_what_the_step_printed() {
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("python3");
    fs::write(&python, "#!/bin/sh\nif [ $1 = -c ]; then echo 3 11 pip; else echo disk is full; exit 1; fi\n")
        .unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let error =
        toolbox::install_in(folder.path(), Set::Cloud, Some(python.into()), &Silent).await.unwrap_err();
    assert_eq!(error.to_string(), "installing the tools failed at `venv`:\ndisk is full");
}

fn answers(tools: &Tools, code: &str) -> String {
    let output = Command::new(&tools.python).args(["-c", code]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The shared folder: the first test to come here installs, everything else in the workspace uses it too.
#[tokio::test]
async fn two_at_once_install_once_and_the_tools_work() {
    let (one, two) = (Lines::default(), Lines::default());
    let (first, second) =
        tokio::join!(toolbox::install(Set::Cloud, &one), toolbox::install(Set::Cloud, &two));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.python, second.python);
    let lines = one.0.into_inner().unwrap().into_iter().chain(two.0.into_inner().unwrap());
    assert!(lines.filter(|line| line.contains("about a minute")).count() <= 1, "installed twice");
    let versions = "import ministack, samtranslator; from importlib.metadata import version; \
                    print(version('ministack'), version('aws-sam-cli'), version('boto3'))";
    assert_eq!(answers(&first, versions).trim(), "1.5.33 1.167.0 1.43.102");
    let postgres = Command::new(first.postgres.join("bin/postgres")).arg("--version").output().unwrap();
    assert!(String::from_utf8(postgres.stdout).unwrap().starts_with("postgres (PostgreSQL) 18."));
    let sqld = Command::new(&first.sqld).arg("--version").output().unwrap();
    assert!(String::from_utf8(sqld.stdout).unwrap().starts_with("sqld sqld 0.24."));

    let again = Instant::now();
    toolbox::install(Set::Cloud, &Silent).await.unwrap();
    assert!(again.elapsed() < Duration::from_secs(5), "an installed set is only looked up");
}

#[test]
fn the_locks_hold_no_address_and_every_package_has_a_hash() {
    for (set, least) in [("cloud", 50), ("build", 50), ("browser", 1), ("shell", 1)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements").join(format!("{set}.txt"));
        let lock = fs::read_to_string(path).unwrap();
        assert!(!lock.contains("://") && !lock.contains("--index"), "{set} names a host");
        let packages = lock.lines().filter(|line| line.contains("==")).count();
        let hashed = lock.matches("\\\n    --hash=sha256:").count();
        assert!(packages >= least && hashed >= packages, "{set}: {packages} packages");
    }
}
