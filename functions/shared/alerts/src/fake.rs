use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reconcile::{Error, Result};

use crate::{Message, Subscriber, Subscribers, Topic};

/// A topic in memory, whose next publication a test can break.
#[derive(Clone, Debug, Default)]
pub struct FakeTopic(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    published: Vec<Message>,
    faults: VecDeque<(Error, bool)>,
}

impl FakeTopic {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What subscribers received, in order.
    pub fn published(&self) -> Vec<Message> {
        self.state().published.clone()
    }

    /// The next publication answers `error` and reaches nobody.
    pub fn refuse_next(&self, error: Error) {
        self.state().faults.push_back((error, false));
    }

    /// The next publication reaches everybody, and its answer is lost.
    pub fn lose_answer_of_next(&self) {
        self.state().faults.push_back((Error::retryable("RequestTimedOut", "the answer was lost"), true));
    }
}

impl Topic for FakeTopic {
    async fn publish(&self, message: &Message) -> Result<String> {
        let mut state = self.state();
        let fault = state.faults.pop_front();
        if fault.as_ref().is_none_or(|(_, takes_effect)| *takes_effect) {
            state.published.push(message.clone());
        }
        let id = state.published.len().to_string();
        fault.map_or(Ok(id), |(error, _)| Err(error))
    }
}

/// Subscribers in memory, by topic, whose next list a test can break.
#[derive(Clone, Debug, Default)]
pub struct FakeSubscribers(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    of: BTreeMap<String, Vec<Subscriber>>,
    faults: VecDeque<Error>,
}

impl FakeSubscribers {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody subscribes to a topic, in their protocol.
    pub fn subscribe(&self, topic: &str, protocol: &str, endpoint: &str, is_confirmed: bool) {
        let subscriber =
            Subscriber { protocol: protocol.to_owned(), endpoint: endpoint.to_owned(), is_confirmed };
        self.lists().of.entry(topic.to_owned()).or_default().push(subscriber);
    }

    /// All leave a topic but those whose endpoint is one of these.
    pub fn leave_but(&self, topic: &str, endpoints: &[&str]) {
        let mut lists = self.lists();
        lists
            .of
            .entry(topic.to_owned())
            .or_default()
            .retain(|one| endpoints.contains(&one.endpoint.as_str()));
    }

    /// The next list is refused.
    pub fn refuse_next(&self, error: Error) {
        self.lists().faults.push_back(error);
    }
}

impl Subscribers for FakeSubscribers {
    async fn of(&self, topic: &str) -> Result<Vec<Subscriber>> {
        let mut lists = self.lists();
        match lists.faults.pop_front() {
            Some(error) => Err(error),
            None => Ok(lists.of.get(topic).cloned().unwrap_or_default()),
        }
    }
}
