//! The servers of one cache: one for each shard.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::{join_all, try_join_all};

use super::server::{Ports, Server, Start, port_taken};
use super::{Dumps, Error, Install, Slots, spread};

/// How often ports may turn out to be taken.
const TRIES: u32 = 5;

/// What a cache is to be.
pub(crate) struct Plan {
    /// One shard each.
    pub(crate) slots: Vec<Slots>,
    pub(crate) cluster_mode: bool,
    pub(crate) password: Option<String>,
}

/// What a new cache holds.
pub(crate) enum Contents {
    Nothing,
    /// RDB files. Without cluster mode there is one; with it, any number, whatever shards they come from.
    Files(Arc<Dumps>),
}

/// Running servers. Dropping them kills them.
pub(crate) struct Fleet {
    nodes: Vec<Server>,
}

impl Fleet {
    /// Starts a cache and waits until clients can use it.
    pub(crate) async fn start(install: &Install, plan: &Plan, contents: &Contents) -> Result<Self, Error> {
        let files = match contents {
            Contents::Nothing => [].as_slice(),
            Contents::Files(dumps) => &dumps.files,
        };
        if !plan.cluster_mode {
            let dump = files.first().map(|file| file.path.as_path());
            let start = Start { install, password: plan.password.as_deref(), dump };
            return Ok(Self { nodes: vec![start.alone().await?] });
        }
        // A file that cannot be loaded is found before the cluster is made.
        let sources = try_join_all(files.iter().map(|file| spread::load(install, &file.path))).await?;
        let fleet = Self { nodes: cluster(install, plan).await? };
        for source in &sources {
            spread::spread(source, plan, &fleet.nodes).await?;
        }
        join_all(sources.iter().map(Server::stop)).await;
        Ok(fleet)
    }

    /// The port of each shard.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }

    /// Dumps all shards at once into the files of these names.
    pub(crate) async fn dump(&self, to: &[PathBuf]) -> Result<(), Error> {
        let dumps = self.nodes.iter().zip(to).map(|(node, to): (&Server, &PathBuf)| node.dump(to));
        try_join_all(dumps).await.map(|_| ())
    }

    pub(crate) async fn stop(&self) {
        join_all(self.nodes.iter().map(Server::stop)).await;
    }
}

/// The servers of a cluster. Each is told all nodes and slots before it starts, so that there is nothing to agree on.
async fn cluster(install: &Install, plan: &Plan) -> Result<Vec<Server>, Error> {
    let mut tried = 1;
    let nodes = loop {
        let ports = plan.slots.iter().map(|_| Ports::free()).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<String> = ports.iter().map(|_| node_id()).collect();
        let start = Start { install, password: plan.password.as_deref(), dump: None };
        let nodes = (0..ports.len()).map(|myself| {
            let file = nodes_file(&ids, &ports, &plan.slots, myself);
            let start = &start;
            let ports = ports[myself];
            async move { start.on(install.folder("node-")?, ports, Some(&file)).await }
        });
        match try_join_all(nodes).await {
            Err(Error::Ended { log }) if tried < TRIES && port_taken(&log) => tried += 1,
            result => break result?,
        }
    };
    try_join_all(nodes.iter().map(Server::joined)).await?;
    Ok(nodes)
}

/// 40 hexadecimal digits.
fn node_id() -> String {
    format!("{:032x}{:08x}", fastrand::u128(..), fastrand::u32(..))
}

/// `nodes.conf`, as a server writes it (`clusterSaveConfig`).
fn nodes_file(ids: &[String], ports: &[Ports], slots: &[Slots], myself: usize) -> String {
    let lines = ids.iter().zip(ports).zip(slots).enumerate().map(|(at, ((id, ports), slots))| {
        let flags = if at == myself { "myself,master" } else { "master" };
        let Ports { client, bus } = ports;
        format!("{id} 127.0.0.1:{client}@{bus} {flags} - 0 0 {epoch} connected {slots}\n", epoch = at + 1)
    });
    lines.collect::<String>() + &format!("vars currentEpoch {} lastVoteEpoch 0\n", ids.len())
}
