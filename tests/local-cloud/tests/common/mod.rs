//! What the test binaries of this crate share.

use std::process::Stdio;

use local_cloud::Cloud;
use tokio::process::Command;

/// Runs a Python script with the cloud's environment and nothing else; what it printed.
pub(crate) async fn python(cloud: &Cloud, script: &str, arguments: &[&str]) -> String {
    let output = Command::new(&cloud.tools().python)
        .args(["-I", "-c", script])
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", cloud.data())
        .envs(cloud.environment())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}
