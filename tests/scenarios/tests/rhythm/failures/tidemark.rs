//! What may become of Tidemark itself, and of the vaults.

use alarms::Alarm;
use domain::Engine;
use jiff::Timestamp;
use serde_json::json;
use vault::FakeStore;

use super::{EACH_TIME, Failure, denied, in_order};
use crate::world::{HOME, Wake, World};

const NONE: Failure = Failure {
    name: "",
    engine: Engine::Rds,
    resource: "tidemark/backup-rds",
    kind: "",
    slot: "2026-11-22T03:00:00Z",
    from_slot_minutes: 120,
    before: in_order,
    happens: |_| None,
};

pub(crate) const FAILURES: &[Failure] = &[
    Failure {
        name: "the vault refuses to be listed",
        engine: Engine::Redis,
        resource: "tidemark/redis-vault",
        kind: "refused",
        happens: |world| close(&world.vault, world.now),
        ..NONE
    },
    Failure {
        name: "the recovery vault refuses to be listed",
        engine: Engine::Turso,
        resource: "tidemark/turso-copies",
        kind: "refused",
        happens: |world| close(&world.recovery_vault, world.now),
        ..NONE
    },
    Failure { name: "Lambda gives a function up", kind: "function-failed", happens: give_up, ..NONE },
    Failure { name: "an alarm on a function stands", kind: "alarm", happens: alarm, ..NONE },
    Failure {
        name: "the same, and CloudWatch's event is lost",
        kind: "alarm",
        happens: alarm_unheard,
        ..NONE
    },
];

fn close(vault: &FakeStore, now: Timestamp) -> Option<Timestamp> {
    for _ in 0..EACH_TIME {
        vault.refuse_next("list", denied());
    }
    Some(now)
}

fn give_up(world: &mut World) -> Option<Timestamp> {
    // It fails each time: a pass that goes well in between would end it before it is told.
    world.backs_up = false;
    let body = json!({
        "timestamp": world.now,
        "requestContext": {
            "functionArn": format!("arn:aws:lambda:{HOME}:123456789012:function:tidemark-prod-backup-rds"),
            "condition": "RetriesExhausted"
        },
        "responsePayload": {"errorType": "AccessDenied", "errorMessage": "not allowed"}
    });
    let records = json!({"Records": [{
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:tidemark-prod-failures",
        "body": body.to_string()
    }]});
    world.event(5, Wake::TellOf(records.to_string()));
    Some(world.now)
}

fn alarm(world: &mut World) -> Option<Timestamp> {
    world.event(5, Wake::Tell);
    alarm_unheard(world)
}

fn alarm_unheard(world: &mut World) -> Option<Timestamp> {
    world.alarms.push(Alarm {
        name: "tidemark-prod-backup-rds-silent".to_owned(),
        function: Some("tidemark-prod-backup-rds".to_owned()),
        description: "it has not run".to_owned(),
        reason: "no datapoints".to_owned(),
        since: Some(world.now),
    });
    Some(world.now)
}
