//! Data folders: made new, backed up, restored.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::endpoint::Endpoint;
use super::server::{ARCHIVE_LINK, Start};
use super::{ADMINISTRATOR, Archive, Authority, Error, Folder, Install, Server};

/// An instance's data, the server on it, and the way in. They go in this order.
pub(crate) struct Cluster {
    pub(crate) endpoint: Endpoint,
    pub(crate) server: Arc<Server>,
    folder: Folder,
}

impl Cluster {
    /// Archives WAL from now on.
    pub(crate) fn attach(&self, archive: &Archive) -> Result<(), Error> {
        attach(&self.folder, archive)
    }

    /// Lets WAL go from now on.
    pub(crate) fn detach(&self) {
        // An error means that nothing was attached.
        let _ = std::fs::remove_file(self.folder.path().join(ARCHIVE_LINK));
    }
}

/// A server cannot be told another archive without a restart, so it is told a link.
fn attach(folder: &Folder, archive: &Archive) -> Result<(), Error> {
    let link = folder.path().join(ARCHIVE_LINK);
    // An error means that there was none.
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(archive.path(), &link).map_err(Error::files(&link))
}

/// The first user of a new instance.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) database: Option<String>,
}

/// Makes, backs up and restores.
pub(crate) struct Clusters {
    pub(crate) install: Install,
    pub(crate) authority: Authority,
    password: String,
    /// A fresh `initdb`, copied for each new instance: a copy takes a tenth of the time.
    template: OnceCell<Folder>,
    numbers: AtomicU64,
}

impl Clusters {
    pub(crate) fn new(install: Install) -> Result<Self, Error> {
        let authority = Authority::make(&install)?;
        let password = (0..32).map(|_| fastrand::alphanumeric()).collect();
        Ok(Self { install, authority, password, template: OnceCell::new(), numbers: AtomicU64::new(0) })
    }

    /// A path for a new folder.
    fn path(&self, kind: &str) -> PathBuf {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.install.data.path().join(format!("{kind}-{number}"))
    }

    fn new_folder(&self, kind: &str) -> Result<Folder, Error> {
        let folder = Folder::adopt(self.path(kind));
        self.install.make_folder(folder.path())?;
        Ok(folder)
    }

    /// A new, empty archive.
    pub(crate) fn archive(&self) -> Result<Arc<Archive>, Error> {
        Ok(Arc::new(Archive::new(self.new_folder("archive")?)))
    }

    /// Takes over from another archive what this one has not.
    pub(crate) async fn replicate(&self, from: &Arc<Archive>, to: &Arc<Archive>) -> Result<(), Error> {
        to.catch_up(from, || self.path("backup")).await
    }

    /// A new instance: its folder and its server.
    pub(crate) async fn create(&self, master: &Master, archive: Option<&Archive>) -> Result<Cluster, Error> {
        let template = self.template.get_or_try_init(|| self.initialise()).await?;
        let folder = self.new_folder("instance")?;
        template.copy_to(&folder.path().join("pgdata")).await?;
        let server = self.start(&folder, archive, &[]).await?;
        create_master(&server, master).await?;
        self.open(server, folder).await
    }

    async fn initialise(&self) -> Result<Folder, Error> {
        let folder = Folder::adopt(self.path("template"));
        let secret = self.install.data.path().join("rdsadmin.password");
        self.install.write_secret(&secret, &self.password)?;
        self.install
            .tool("initdb")
            .args(["-U", ADMINISTRATOR, "--auth", "scram-sha-256", "--no-sync", "--no-instructions"])
            .args(["--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"])
            // WAL is switched and archived as often as every 200 ms; a switch archives a whole file.
            .args(["--locale", "C", "--wal-segsize", "1"])
            // The strength of a password matters to nobody here; 4096 rounds in a debug build take 0.1 s of each login.
            .args(["--set", "scram_iterations=1", "--pwfile"])
            .arg(&secret)
            .arg("-D")
            .arg(folder.path())
            .run()
            .await?;
        std::fs::remove_file(&secret).map_err(Error::files(&secret))?;
        Ok(folder)
    }

    /// A copy of everything in the server, with the WAL that makes it consistent. Every commit that came before the
    /// call is in it.
    pub(crate) async fn back_up(&self, server: &Server) -> Result<Folder, Error> {
        let folder = Folder::adopt(self.path("backup"));
        self.install
            .tool("pg_basebackup")
            .args(server.address())
            // Two archives instead of a thousand files: backups are made, copied and deleted more often than restored.
            .args(["--format", "tar", "--wal-method", "stream", "--checkpoint", "fast"])
            .args(["--no-sync", "--no-password", "-D"])
            .arg(folder.path())
            .env("PGPASSWORD", server.password())
            .env("PGSSLMODE", "disable")
            .run()
            .await?;
        Ok(folder)
    }

    /// A new instance with what was in a backup.
    pub(crate) async fn restore(&self, backup: &Folder, archive: Option<&Archive>) -> Result<Cluster, Error> {
        let folder = self.new_folder("instance")?;
        self.unpack(backup, &folder.path().join("pgdata")).await?;
        let server = self.start(&folder, archive, &[]).await?;
        self.open(server, folder).await
    }

    /// A new instance as another was at `target`: a backup from before, then archived WAL. Commits at or before the
    /// target are in it, later ones are not.
    pub(crate) async fn recover(
        &self,
        backup: &Folder,
        wal: &Archive,
        target: Timestamp,
        archive: Option<&Archive>,
    ) -> Result<Cluster, Error> {
        let folder = self.new_folder("instance")?;
        let data = folder.path().join("pgdata");
        self.unpack(backup, &data).await?;
        let signal = data.join("recovery.signal");
        self.install.write_secret(&signal, "")?;
        let settings = [
            ("restore_command", format!("cp '{}/%f' '%p'", wal.path().display())),
            ("recovery_target_time", target.strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string()),
            ("recovery_target_inclusive", "on".to_owned()),
            ("recovery_target_action", "promote".to_owned()),
            // Nobody gets in before the target is reached.
            ("hot_standby", "off".to_owned()),
        ];
        let server = self.start(&folder, archive, &settings).await?;
        self.open(server, folder).await
    }

    async fn start(
        &self,
        folder: &Folder,
        archive: Option<&Archive>,
        settings: &[(&'static str, String)],
    ) -> Result<Server, Error> {
        if let Some(archive) = archive {
            attach(folder, archive)?;
        }
        let (install, password) = (&self.install, self.password.as_str());
        Start { install, password, folder: folder.path(), settings }.run().await
    }

    async fn unpack(&self, backup: &Folder, data: &Path) -> Result<(), Error> {
        for (archive, to) in [("base.tar", data.to_owned()), ("pg_wal.tar", data.join("pg_wal"))] {
            self.install.make_private(&to)?;
            let from = backup.path().join(archive);
            self.install.system("tar").arg("-xf").arg(from).arg("-C").arg(&to).run().await?;
        }
        Ok(())
    }

    /// Lets clients in.
    async fn open(&self, server: Server, folder: Folder) -> Result<Cluster, Error> {
        let endpoint = Endpoint::open(&self.authority, server.port).await?;
        Ok(Cluster { endpoint, server: Arc::new(server), folder })
    }

    /// A copy of a backup that shares its files.
    pub(crate) async fn copy(&self, backup: &Folder) -> Result<Arc<Folder>, Error> {
        Ok(Arc::new(backup.link_to(self.path("backup")).await?))
    }
}

/// The roles as RDS makes them: the master user is no superuser, but has `rds_superuser`.
async fn create_master(server: &Server, master: &Master) -> Result<(), Error> {
    let client = server.connect().await?;
    let (name, password) = (quote_name(&master.name), quote_text(&master.password));
    let statements = format!(
        "CREATE ROLE rds_superuser NOLOGIN;
         CREATE ROLE rds_replication NOLOGIN;
         GRANT pg_monitor, pg_signal_backend, pg_checkpoint, rds_replication TO rds_superuser WITH ADMIN OPTION;
         CREATE ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD {password};
         GRANT rds_superuser TO {name};
         ALTER DATABASE postgres OWNER TO {name};"
    );
    client.batch_execute(&statements).await?;
    if let Some(database) = master.database.as_ref().filter(|database| *database != "postgres") {
        client.batch_execute(&format!("CREATE DATABASE {} OWNER {name}", quote_name(database))).await?;
    }
    Ok(())
}

/// Changes a user's password.
pub(crate) async fn set_password(server: &Server, name: &str, password: &str) -> Result<(), Error> {
    let statement = format!("ALTER ROLE {} PASSWORD {}", quote_name(name), quote_text(password));
    Ok(server.connect().await?.batch_execute(&statement).await?)
}

fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
