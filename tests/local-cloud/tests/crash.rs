//! `local-cloud` as a process: however it ends, nothing of it stays.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use toolbox::{Set, Silent};

/// A running `local-cloud --json`, with nothing deployed.
struct Running {
    child: Child,
    state: Value,
    /// Of itself and of everything that it started.
    processes: Vec<u32>,
    python: PathBuf,
}

impl Running {
    async fn start() -> Self {
        let python = toolbox::install(Set::Cloud, &Silent).await.unwrap().python;
        let mut child = Command::new(env!("CARGO_BIN_EXE_local-cloud"))
            .args(["--json", "--no-deploy", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let state = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line:?}"));
        let script = "import psutil, sys\n\
            me = psutil.Process(int(sys.argv[1]))\n\
            print(*[process.pid for process in [me, *me.children(recursive=True)]])";
        let listed = run(&python, script, &[child.id()]);
        let processes = listed.split_whitespace().map(|number| number.parse().unwrap()).collect();
        Self { child, state, processes, python }
    }

    fn data(&self) -> &Path {
        Path::new(self.state["data"].as_str().unwrap())
    }

    /// MiniStack is the one whose command line has our launcher.
    fn ministack(&self) -> u32 {
        let script = "import psutil, sys\n\
            print(*[p for p in sys.argv[1:] if any('MiniStack in this process' in a \
            for a in psutil.Process(int(p)).cmdline())])";
        run(&self.python, script, &self.processes).trim().parse().unwrap()
    }

    fn alive(&self) -> Vec<u32> {
        let script = "import psutil, sys\n\
            def runs(pid):\n\
            \x20   try: return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE\n\
            \x20   except psutil.NoSuchProcess: return False\n\
            print(*[pid for pid in map(int, sys.argv[1:]) if runs(pid)])";
        let listed = run(&self.python, script, &self.processes);
        listed.split_whitespace().map(|number| number.parse().unwrap()).collect()
    }

    fn nothing_stays(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let (alive, data) = (self.alive(), self.data().exists());
            if alive.is_empty() && !data {
                return;
            }
            assert!(Instant::now() < deadline, "still there after 20 s: {alive:?}, data: {data}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

fn run(python: &Path, script: &str, numbers: &[u32]) -> String {
    let numbers = numbers.iter().map(u32::to_string);
    let output = Command::new(python).args(["-c", script]).args(numbers).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn killed_it_leaves_no_process_and_no_data() {
    let mut running = Running::start().await;
    assert!(running.processes.len() >= 3, "itself, the guard, MiniStack: {:?}", running.processes);
    assert_eq!(running.alive(), running.processes);
    assert!(running.data().exists());
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    running.nothing_stays();
}

#[tokio::test]
async fn interrupted_or_terminated_it_ends_in_order() {
    for name in ["-INT", "-TERM"] {
        let mut running = Running::start().await;
        signal(running.child.id(), name);
        assert!(running.child.wait().unwrap().success(), "{name}");
        running.nothing_stays();
    }
}

#[tokio::test]
async fn ministack_that_ends_by_itself_is_told_with_its_log() {
    let mut running = Running::start().await;
    signal(running.ministack(), "-KILL");
    assert!(!running.child.wait().unwrap().success());
    let errors = std::io::read_to_string(running.child.stderr.take().unwrap()).unwrap();
    assert!(
        errors.contains("MiniStack ended unexpectedly") && errors.contains("Running on http"),
        "{errors}"
    );
    running.nothing_stays();
}
