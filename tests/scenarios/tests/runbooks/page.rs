//! A page as its reader has it: headings, blocks to copy, lines to change, payloads, links.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A page of `docs/runbooks`.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What a page sends to a function.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) function: String,
    pub(crate) body: Value,
}

/// A line that the reader changes: `export NAME=value  # yours`.
fn yours(line: &str) -> Option<(&str, &str)> {
    let (line, _) = line.split_once("# yours")?;
    line.strip_prefix("export ")?.trim().split_once('=')
}

impl Page {
    pub(crate) fn read(name: &str) -> Result<Self> {
        let path = toolbox::workspace().join("docs/runbooks").join(format!("{name}.md"));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { name: name.to_owned(), text })
    }

    /// The headings of the second level.
    pub(crate) fn headings(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("## ")).collect()
    }

    /// What stands in fences, with the fences' languages.
    fn fenced(&self) -> Result<Vec<(&str, String)>> {
        let (mut blocks, mut open) = (Vec::new(), None::<(&str, String)>);
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(block), Some("")) => {
                    blocks.push(std::mem::take(block));
                    open = None;
                }
                (Some((_, text)), None) => {
                    text.push_str(line);
                    text.push('\n');
                }
                (None, Some(language)) => open = Some((language, String::new())),
                (None, None) => {}
                (Some(_), Some(_)) => bail!("{}: a fence within a fence: {line}", self.name),
            }
        }
        ensure!(open.is_none(), "{}: a fence does not end", self.name);
        for (language, _) in &blocks {
            ensure!(["sh", "text"].contains(language), "{}: a block of {language:?}", self.name);
        }
        Ok(blocks)
    }

    /// The first block to copy under a heading.
    pub(crate) fn first_under(&self, heading: &str) -> Result<String> {
        let (_, text) =
            self.text.split_once(heading).with_context(|| format!("{} has no {heading}", self.name))?;
        let under = Self { name: self.name.clone(), text: text.to_owned() };
        let (_, block) = under.fenced()?.into_iter().next().context("no block is there")?;
        Ok(block)
    }

    /// All that a reader copies into the shell, in its order.
    pub(crate) fn commands(&self) -> Result<String> {
        Ok(self
            .fenced()?
            .into_iter()
            .filter(|(language, _)| *language == "sh")
            .map(|(_, text)| text)
            .collect())
    }

    /// The lines that the reader changes, with the values that stand there.
    pub(crate) fn examples(&self) -> Result<BTreeMap<String, String>> {
        let commands = self.commands()?;
        Ok(commands
            .lines()
            .filter_map(yours)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// The commands with the reader's own values, each of which is asked for and given.
    pub(crate) fn filled_in(&self, values: &BTreeMap<&str, String>) -> Result<String> {
        let mut script = String::new();
        let mut missing: Vec<&str> = values.keys().copied().collect();
        for line in self.commands()?.lines() {
            ensure!(
                line.contains("# yours") == yours(line).is_some(),
                "{}: what is to be changed here? {line}",
                self.name
            );
            match yours(line) {
                Some((name, _)) => {
                    let value = values.get(name).with_context(|| {
                        format!("{}: the test knows no value for {name}, which the page asks for", self.name)
                    })?;
                    missing.retain(|other| *other != name);
                    script.extend(["export ", name, "='", value, "'\n"]);
                }
                None => {
                    script.push_str(line);
                    script.push('\n');
                }
            }
        }
        ensure!(missing.is_empty(), "{} does not ask for {missing:?}", self.name);
        Ok(script)
    }

    /// What is given to `ask`, which invokes a function: `<<END` and lines, or `<<<'…'`. A variable in it stays as it is.
    pub(crate) fn payloads(&self) -> Result<Vec<Payload>> {
        let (commands, examples) = (self.commands()?, self.examples()?);
        let mut lines = commands.lines();
        let mut payloads = Vec::new();
        while let Some(line) = lines.next() {
            let asked = line.trim_start().trim_start_matches("until ");
            let Some((function, rest)) = asked.strip_prefix("ask ").and_then(|asked| asked.split_once(" <<"))
            else {
                continue;
            };
            let mut function = function.trim_matches('"').to_owned();
            for (name, value) in &examples {
                function = function.replace(&format!("${name}"), value);
            }
            let text: String = match rest.strip_prefix("<'") {
                Some(here) => here.split('\'').next().unwrap_or_default().to_owned(),
                None => lines.by_ref().take_while(|line| *line != "END").collect(),
            };
            let body = serde_json::from_str(&text)
                .with_context(|| format!("{}: no JSON for {function}: {text}", self.name))?;
            payloads.push(Payload { function, body });
        }
        Ok(payloads)
    }
}

/// Whether the payload is that event, whatever its variables stand for.
pub(crate) fn is_event(payload: &Value, event: &Value) -> bool {
    match (payload, event) {
        (Value::String(payload), Value::String(_)) if payload.contains('$') => true,
        (Value::Object(payload), Value::Object(event)) => {
            payload.len() == event.len()
                && payload
                    .iter()
                    .all(|(key, value)| event.get(key).is_some_and(|other| is_event(value, other)))
        }
        (Value::Array(payload), Value::Array(event)) => {
            payload.len() == event.len()
                && payload.iter().zip(event).all(|(payload, event)| is_event(payload, event))
        }
        _ => payload == event,
    }
}

/// Whether the payload has the event's keys, whatever their values are.
pub(crate) fn has_form_of(payload: &Value, event: &Value) -> bool {
    let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    keys(payload).is_some_and(|payload| Some(payload) == keys(event))
}
