//! The alarms: each of them, what it looks at, and how people are told of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::functions::{FUNCTIONS, Function, Told};
use crate::{Findings, Stack, expect, expect_at};

/// An alarm: its logical id, its name without the prefix `tidemark-<stage>-`, how it is told, and its other properties.
struct Alarm {
    id: String,
    name: String,
    told: Told,
    looks: Value,
}

/// Every rule for the alarms: these and no others, so that none is without its way to people.
pub(crate) fn check(stack: &Stack, findings: &mut Findings) {
    let known: Vec<Alarm> = FUNCTIONS.iter().flat_map(of_a_function).chain(of_the_queues()).collect();
    let made: BTreeSet<&str> = stack.of_type("AWS::CloudWatch::Alarm").map(|(id, _)| id).collect();
    let wanted: BTreeSet<&str> = known.iter().map(|alarm| alarm.id.as_str()).collect();
    for id in made.difference(&wanted) {
        findings.push(format!("{id}: nobody has said how people are told of it"));
    }
    for alarm in &known {
        let Alarm { id, name, told, looks } = alarm;
        let found = stack.get(id);
        expect(findings, made.contains(id.as_str()), || format!("there is no alarm {id}"));
        // send-alert's rule and the topic's policy go by the prefix.
        expect_at(findings, id, found, "/Properties/AlarmName", &json!(format!("tidemark-dev-{name}")));
        for (property, value) in looks.as_object().into_iter().flatten() {
            expect_at(findings, id, found, &format!("/Properties/{property}"), value);
        }
        for actions in ["AlarmActions", "OKActions"] {
            let wanted = match told {
                Told::Straight => json!(["@WatchTopic"]),
                Told::BySendAlert => Value::Null,
            };
            expect_at(findings, id, found, &format!("/Properties/{actions}"), &wanted);
        }
        expect_at(findings, id, found, "/Properties/InsufficientDataActions", &Value::Null);
        let on = found["Properties"]["ActionsEnabled"] != false;
        expect(findings, on, || format!("{id} is switched off"));
    }
}

fn of_a_function(function: &Function) -> Vec<Alarm> {
    let lambda = json!([{"Name": "FunctionName", "Value": format!("@{}", function.id("Function"))}]);
    let alarm = |kind: &str, looks: Value| Alarm {
        id: function.id(&format!("{}Alarm", kind[..1].to_uppercase() + &kind[1..])),
        name: format!("{}-{kind}", function.name),
        told: function.told,
        looks,
    };
    let minutes = function.silent_minutes;
    let mut alarms = vec![
        alarm(
            "errors",
            json!({
                "Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": lambda, "Statistic": "Sum",
                "Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 3,
                "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "notBreaching",
            }),
        ),
        alarm(
            "throttles",
            json!({
                "Namespace": "AWS/Lambda", "MetricName": "Throttles", "Dimensions": lambda, "Statistic": "Sum",
                "Period": 300, "EvaluationPeriods": 1,
                "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "notBreaching",
            }),
        ),
        // Here and below, absence is the failure.
        alarm(
            "silent",
            json!({
                "Namespace": "AWS/Lambda", "MetricName": "Invocations", "Dimensions": lambda, "Statistic": "Sum",
                "Period": 60, "EvaluationPeriods": minutes, "DatapointsToAlarm": minutes,
                "Threshold": 1, "ComparisonOperator": "LessThanThreshold",
                "TreatMissingData": "breaching",
            }),
        ),
    ];
    if function.told == Told::Straight {
        let dimension = json!([{"Name": "function", "Value": function.name}]);
        // Two failed passes, each a 0; of silence CloudWatch wants about two minutes more (the template says why).
        alarms.push(alarm(
            "heartbeat",
            json!({
                "Namespace": "Tidemark", "MetricName": "heartbeat", "Dimensions": dimension, "Statistic": "Sum",
                "Period": 60, "EvaluationPeriods": 2, "DatapointsToAlarm": 2,
                "Threshold": 1, "ComparisonOperator": "LessThanThreshold",
                "TreatMissingData": "breaching",
            }),
        ));
    }
    alarms
}

fn of_the_queues() -> Vec<Alarm> {
    let alarm = |id: &str, name: &str, queue: &str, metric: &str, looks: Value| {
        let dimension = json!([{"Name": "QueueName", "Value": format!("@{queue}.QueueName")}]);
        let mut all = json!({"Namespace": "AWS/SQS", "MetricName": metric, "Dimensions": dimension});
        if let (Some(all), Value::Object(looks)) = (all.as_object_mut(), looks) {
            all.extend(looks);
        }
        Alarm { id: id.to_owned(), name: name.to_owned(), told: Told::Straight, looks: all }
    };
    let at_once = |threshold: u64| {
        json!({
            "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1,
            "Threshold": threshold, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
        })
    };
    let visible = "ApproximateNumberOfMessagesVisible";
    // One canary a day, and an hour for it to arrive. 90,000 seconds in all: more than a day is allowed where the period
    // is an hour or more (CloudWatch API Reference, PutMetricAlarm, Period).
    let daily = json!({
        "Statistic": "Sum", "Period": 3600, "EvaluationPeriods": 25, "DatapointsToAlarm": 25,
        "Threshold": 1, "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "breaching",
    });
    vec![
        // Not how many are there: send-alert takes them. How long nobody does.
        alarm("FailuresAlarm", "failures", "FailuresQueue", "ApproximateAgeOfOldestMessage", at_once(300)),
        alarm("FailuresDeadLetterAlarm", "failures-dead", "FailuresDeadLetterQueue", visible, at_once(1)),
        alarm("UndeliveredAlarm", "undelivered", "UndeliveredQueue", visible, at_once(1)),
        alarm("CanaryAlarm", "canary", "CanaryQueue", "NumberOfMessagesSent", daily),
    ]
}
