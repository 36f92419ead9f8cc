//! Work that outlives the request, and how long it takes at least.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

/// The work under way of one control plane.
#[derive(Debug)]
pub struct Tasks {
    /// `None` once stopped: nothing new is started then.
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { tasks: Mutex::new(Some(JoinSet::new())) }
    }
}

impl Tasks {
    /// Runs work that outlives the request.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(work);
        }
    }

    /// Whether nothing is being worked on.
    pub fn are_done(&self) -> bool {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.as_mut().is_none_or(|tasks| {
            while tasks.try_join_next().is_some() {}
            tasks.is_empty()
        })
    }

    /// Ends all work where it stands, and starts none any more.
    pub async fn stop(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
    }
}

/// The least time of each transition, which may change while transitions are under way.
#[derive(Debug)]
pub struct Pace<S>(watch::Sender<S>);

impl<S: Copy> Pace<S> {
    /// Begins with `speed`.
    pub fn new(speed: S) -> Self {
        Self(watch::Sender::new(speed))
    }

    /// The speed now.
    pub fn now(&self) -> S {
        *self.0.borrow()
    }

    /// Changes the speed, also of transitions under way.
    pub fn set(&self, speed: S) {
        self.0.send_replace(speed);
    }

    /// To be told of changes.
    pub fn subscribe(&self) -> watch::Receiver<S> {
        self.0.subscribe()
    }

    /// Waits until a transition that began at `since` has taken as long as the speed asks for, also if that changes.
    pub async fn at_least(&self, since: Instant, least: fn(&S) -> Duration) {
        let mut speed = self.0.subscribe();
        loop {
            let left = least(&speed.borrow_and_update()).saturating_sub(since.elapsed());
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                _ = speed.changed() => {}
            }
        }
    }
}
