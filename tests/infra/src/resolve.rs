//! A template with its parameters put in: what `CloudFormation` would make of it, without an account.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// A template after its conditions and intrinsic functions. What only a deployment can know stays readable:
/// a reference to a resource is `@LogicalId`, an attribute `@LogicalId.Attribute`.
#[derive(Clone, Debug)]
pub struct Stack {
    /// By logical id, those whose condition holds.
    pub resources: BTreeMap<String, Value>,
}

impl Stack {
    /// The resources of one type, by logical id.
    pub fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.resources.iter().filter(move |(_, r)| r["Type"] == kind).map(|(id, r)| (id.as_str(), r))
    }

    /// The resource with this logical id; `Null` if there is none.
    pub fn get(&self, id: &str) -> &Value {
        self.resources.get(id).unwrap_or(&Value::Null)
    }
}

/// Puts `parameters` (over the template's defaults) into the template, as if deployed in `region`.
pub fn resolve(template: &Value, region: &str, parameters: &[(&str, &str)]) -> Result<Stack> {
    let declared = template["Parameters"].as_object().context("a template without parameters")?;
    let mut known: BTreeMap<String, Value> = declared
        .iter()
        .filter_map(|(name, about)| Some((name.clone(), about.get("Default")?.clone())))
        .chain([
            ("AWS::Region".to_owned(), region.into()),
            ("AWS::AccountId".to_owned(), "123456789012".into()),
            ("AWS::Partition".to_owned(), "aws".into()),
        ])
        .collect();
    for (name, value) in parameters {
        if !declared.contains_key(*name) {
            bail!("the template has no parameter {name}");
        }
        known.insert((*name).to_owned(), (*value).into());
    }
    let scope = Scope { template, known };
    let mut resources = BTreeMap::new();
    for (id, resource) in template["Resources"].as_object().context("a template without resources")? {
        let included = match resource.get("Condition").and_then(Value::as_str) {
            Some(condition) => scope.condition(condition)?,
            None => true,
        };
        if included {
            resources.insert(id.clone(), scope.value(resource)?.unwrap_or_default());
        }
    }
    Ok(Stack { resources })
}

struct Scope<'a> {
    template: &'a Value,
    known: BTreeMap<String, Value>,
}

impl Scope<'_> {
    /// `None` is `AWS::NoValue`.
    fn value(&self, value: &Value) -> Result<Option<Value>> {
        Ok(Some(match value {
            Value::Array(items) => Value::Array(
                items.iter().filter_map(|item| self.value(item).transpose()).collect::<Result<_>>()?,
            ),
            Value::Object(members) => match members.iter().next() {
                Some((function, of)) if members.len() == 1 && is_intrinsic(function) => {
                    return self.intrinsic(function, of);
                }
                _ => {
                    let mut resolved = Map::new();
                    for (key, member) in members {
                        if let Some(member) = self.value(member)? {
                            resolved.insert(key.clone(), member);
                        }
                    }
                    Value::Object(resolved)
                }
            },
            other => other.clone(),
        }))
    }

    fn intrinsic(&self, function: &str, of: &Value) -> Result<Option<Value>> {
        Ok(Some(match (function, of) {
            ("Ref", Value::String(name)) if name == "AWS::NoValue" => return Ok(None),
            ("Ref", Value::String(name)) => self.reference(name),
            ("Fn::GetAtt", Value::Array(path)) => {
                let path: Vec<&str> = path.iter().filter_map(Value::as_str).collect();
                format!("@{}", path.join(".")).into()
            }
            ("Fn::Sub", Value::String(pattern)) => self.substitute(pattern)?.into(),
            ("Fn::If", Value::Array(branches)) => {
                let [Value::String(condition), yes, no] = branches.as_slice() else {
                    bail!("Fn::If of {of}")
                };
                return self.value(if self.condition(condition)? { yes } else { no });
            }
            ("Fn::Split", Value::Array(arguments)) => {
                let [Value::String(separator), list] = arguments.as_slice() else {
                    bail!("Fn::Split of {of}")
                };
                let list = self.value(list)?.unwrap_or_default();
                let list = list.as_str().with_context(|| format!("Fn::Split of {of}"))?;
                list.split(separator.as_str()).collect::<Vec<_>>().into()
            }
            _ => bail!("{function} is not understood here: {of}"),
        }))
    }

    fn reference(&self, name: &str) -> Value {
        self.known.get(name).cloned().unwrap_or_else(|| format!("@{name}").into())
    }

    fn substitute(&self, pattern: &str) -> Result<String> {
        let mut resolved = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) = after.split_once('}').with_context(|| format!("Fn::Sub of {pattern}"))?;
            resolved.push_str(before);
            match self.reference(name) {
                Value::String(text) => resolved.push_str(&text),
                other => resolved.push_str(&other.to_string()),
            }
            rest = behind;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn condition(&self, name: &str) -> Result<bool> {
        let condition = &self.template["Conditions"][name];
        self.holds(condition).with_context(|| format!("condition {name}"))
    }

    fn holds(&self, condition: &Value) -> Result<bool> {
        let members = condition.as_object().filter(|members| members.len() == 1);
        let (function, of) = members.and_then(|members| members.iter().next()).context("is none")?;
        if let ("Condition", Value::String(other)) = (function.as_str(), of) {
            return self.condition(other);
        }
        let of = of.as_array().with_context(|| format!("{function} without a list"))?;
        Ok(match (function.as_str(), of.as_slice()) {
            ("Fn::Not", [one]) => !self.holds(one)?,
            ("Fn::And", all) => {
                all.iter().map(|one| self.holds(one)).collect::<Result<Vec<_>>>()?.iter().all(|h| *h)
            }
            ("Fn::Or", any) => {
                any.iter().map(|one| self.holds(one)).collect::<Result<Vec<_>>>()?.iter().any(|h| *h)
            }
            ("Fn::Equals", [left, right]) => self.value(left)? == self.value(right)?,
            _ => bail!("{function} is not understood here"),
        })
    }
}

fn is_intrinsic(name: &str) -> bool {
    name == "Ref" || name.starts_with("Fn::")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Value {
        json!({
            "Parameters": {"Stage": {"Default": "dev"}, "Replica": {"Default": ""}, "List": {"Default": "a,b"}},
            "Conditions": {
                "Replicates": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Replica"}, ""]}]},
                "Both": {"Fn::And": [{"Fn::Equals": [{"Ref": "Stage"}, "dev"]}, {"Fn::Equals": ["a", "a"]}]},
                "Same": {"Condition": "Either"},
                "Either": {"Fn::Or": [{"Fn::Equals": [{"Ref": "Stage"}, "prod"]}, {"Fn::Equals": ["a", "a"]}]},
            },
            "Resources": {
                "Bucket": {"Type": "T", "Name": {"Fn::Sub": "v-${Stage}-${AWS::Region}-${Key.Arn}"},
                    "Replication": {"Fn::If": ["Replicates", {"Role": {"Fn::GetAtt": ["Role", "Arn"]}}, {"Ref": "AWS::NoValue"}]},
                    "List": [{"Fn::If": ["Both", 1, 2]}, {"Ref": "AWS::NoValue"}, {"Fn::Split": [",", {"Ref": "List"}]}]},
                "Role": {"Type": "T", "Condition": "Replicates"},
                "Always": {"Type": "U", "Condition": "Same", "Of": {"Ref": "Bucket"}},
            },
        })
    }

    #[test]
    fn conditions_and_functions_are_evaluated() -> Result<()> {
        let stack = resolve(&template(), "us-east-1", &[])?;
        let bucket = json!({"Type": "T", "Name": "v-dev-us-east-1-@Key.Arn", "List": [1, ["a", "b"]]});
        assert_eq!(stack.get("Bucket"), &bucket);
        assert_eq!(stack.get("Always")["Of"], "@Bucket");
        assert_eq!(stack.of_type("T").count(), 1);

        let stack = resolve(&template(), "us-east-1", &[("Replica", "us-west-2"), ("Stage", "prod")])?;
        assert_eq!(stack.get("Bucket")["Replication"], json!({"Role": "@Role.Arn"}));
        assert_eq!(stack.get("Bucket")["List"][0], 2);
        assert_eq!(stack.of_type("T").count(), 2);
        Ok(())
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(resolve(&template(), "us-east-1", &[("Nothing", "")]).is_err());
        let mut unknown = template();
        unknown["Resources"]["Bucket"]["Name"] = json!({"Fn::ImportValue": "x"});
        assert!(resolve(&unknown, "us-east-1", &[]).is_err());
    }
}
