//! What wakes the functions: schedules, rules, queues.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::functions::{FUNCTIONS, Function, Rule};
use crate::{Findings, Stack, access, expect, expect_at, list, text};

/// Every rule for what wakes the functions.
pub(crate) fn check(stack: &Stack, findings: &mut Findings) {
    for function in FUNCTIONS {
        schedules(stack, function, findings);
        for rule in function.rules {
            wakes(stack, function, rule, findings);
        }
        reads(stack, function, findings);
    }
    let of = |kind: &'static str| stack.of_type(kind);
    let made: BTreeSet<&str> = of("AWS::Events::Rule").map(|(_, r)| text(&r["Properties"]["Name"])).collect();
    let known: BTreeSet<String> = FUNCTIONS.iter().flat_map(|function| function.rules).map(full).collect();
    expect(findings, made.iter().copied().eq(known.iter().map(String::as_str)), || {
        format!("the rules are {made:?}, not {known:?}")
    });
    let schedules: usize = FUNCTIONS.iter().map(|function| function.schedules.len()).sum();
    let made = of("AWS::Scheduler::Schedule").count();
    expect(findings, made == schedules, || format!("there are {made} schedules, not {schedules}"));
    let read: usize = FUNCTIONS.iter().map(|function| function.reads.len()).sum();
    let made = of("AWS::Lambda::EventSourceMapping").count();
    expect(findings, made == read, || format!("{made} queues are read, not {read}"));
}

fn full(rule: &Rule) -> String {
    format!("tidemark-dev-{}", rule.name)
}

fn schedules(stack: &Stack, about: &Function, findings: &mut Findings) {
    let (name, function) = (about.name, format!("@{}.Arn", about.id("Function")));
    let made: Vec<&Value> = stack
        .of_type("AWS::Scheduler::Schedule")
        .map(|(_, schedule)| &schedule["Properties"])
        .filter(|schedule| schedule["Target"]["Arn"] == function.as_str())
        .collect();
    expect(findings, made.len() == about.schedules.len(), || format!("{name} has {} schedules", made.len()));
    for wanted in about.schedules {
        let full = format!("tidemark-dev-{}", wanted.name);
        let schedule = made.iter().copied().find(|s| s["Name"] == full.as_str()).unwrap_or(&Value::Null);
        for (pointer, value) in [
            ("/ScheduleExpression", json!(wanted.expression)),
            ("/ScheduleExpressionTimezone", json!("UTC")),
            ("/FlexibleTimeWindow/Mode", json!("OFF")),
            ("/Target/Input", json!(wanted.input)),
            ("/Target/DeadLetterConfig/Arn", json!("@UndeliveredQueue.Arn")),
            ("/Target/RoleArn", json!(format!("@{}.Arn", about.id("ScheduleRole")))),
        ] {
            expect_at(findings, &full, schedule, pointer, &value);
        }
        let retries = schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"].as_u64();
        expect(findings, retries.is_some_and(|retries| retries >= 1), || format!("{full} is never retried"));
        let off = schedule["State"] == "DISABLED";
        expect(findings, !off, || format!("{full} is switched off"));
    }
    let role = about.id("ScheduleRole");
    let arn = format!("arn:aws:lambda:us-east-1:123456789012:function:tidemark-dev-{name}");
    expect(findings, access::may(stack, &role, "lambda:InvokeFunction", &arn), || {
        format!("{role} may not wake {name}")
    });
    let other = format!("{arn}-other");
    expect(findings, !access::may(stack, &role, "lambda:InvokeFunction", &other), || {
        format!("{role} may wake more than {name}")
    });
    let keeps = access::may(stack, &role, "sqs:SendMessage", "@UndeliveredQueue.Arn");
    expect(findings, keeps, || format!("{role} may not keep what it could not deliver"));
}

fn wakes(stack: &Stack, about: &Function, rule: &Rule, findings: &mut Findings) {
    let name = full(rule);
    let made =
        stack.of_type("AWS::Events::Rule").find(|(_, made)| made["Properties"]["Name"] == name.as_str());
    let (id, made) = made.unwrap_or(("", &Value::Null));
    let pattern: Value = serde_json::from_str(rule.pattern).unwrap_or_default();
    expect_at(findings, &name, made, "/Properties/EventPattern", &pattern);
    // A bus of one's own would hear nothing of AWS.
    expect_at(findings, &name, made, "/Properties/EventBusName", &Value::Null);
    expect(findings, made["Properties"]["State"] != "DISABLED", || format!("{name} is switched off"));
    let targets = list(&made["Properties"]["Targets"]);
    expect(findings, targets.len() == 1, || format!("{name} wakes {} functions, not one", targets.len()));
    for target in targets {
        let function = about.id("Function");
        expect_at(findings, &name, target, "/Arn", &json!(format!("@{function}.Arn")));
        expect_at(findings, &name, target, "/DeadLetterConfig/Arn", &json!("@UndeliveredQueue.Arn"));
        let retries = target["RetryPolicy"]["MaximumRetryAttempts"].as_u64();
        expect(findings, retries.is_some_and(|retries| retries >= 1), || format!("{name} is never retried"));
        let permitted = stack.of_type("AWS::Lambda::Permission").any(|(_, permission)| {
            let permission = &permission["Properties"];
            permission["FunctionName"] == format!("@{function}")
                && permission["Principal"] == "events.amazonaws.com"
                && permission["SourceArn"] == format!("@{id}.Arn")
        });
        expect(findings, permitted, || format!("{name} has no permission to wake {}", about.name));
    }
}

fn reads(stack: &Stack, about: &Function, findings: &mut Findings) {
    let function = format!("@{}", about.id("Function"));
    for id in about.reads {
        let source = format!("@{id}.Arn");
        let mapping = stack
            .of_type("AWS::Lambda::EventSourceMapping")
            .map(|(_, mapping)| &mapping["Properties"])
            .find(|mapping| {
                mapping["EventSourceArn"] == source.as_str() && mapping["FunctionName"] == function
            })
            .unwrap_or(&Value::Null);
        let what = format!("{}'s reading of {id}", about.name);
        expect_at(findings, &what, mapping, "/BatchSize", &json!(10));
        // Asked for, an answer without a list of failed messages would count as success.
        expect_at(findings, &what, mapping, "/FunctionResponseTypes", &Value::Null);
        expect(findings, mapping["Enabled"] != false, || format!("{what} is switched off"));
        let queue = &stack.get(id)["Properties"];
        let timeout = stack.get(&about.id("Function"))["Properties"]["Timeout"].as_u64().unwrap_or_default();
        // 30 seconds where nothing is said (SQS API Reference, CreateQueue).
        let hidden = queue["VisibilityTimeout"].as_u64().unwrap_or(30);
        // Lambda Developer Guide, "Creating and configuring an Amazon SQS event source mapping".
        expect(findings, hidden >= 6 * timeout, || {
            format!("{id} hides a message for {hidden} s, {} runs for up to {timeout} s", about.name)
        });
        let ends = queue["RedrivePolicy"]["maxReceiveCount"].as_u64().is_some_and(|count| count >= 5);
        expect(findings, ends, || format!("{id} gives {} a message too seldom, or for ever", about.name));
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
            let may = access::may(stack, &about.id("Role"), action, &source);
            expect(findings, may, || format!("{} may not {action} of {id}", about.id("Role")));
        }
    }
    let loops = about.reads.contains(&about.failures);
    expect(findings, !loops, || format!("{} would be woken by its own failures", about.name));
}
