//! Who may do what, of the roles as they are deployed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::functions::FUNCTIONS;
use crate::roles::{LOOP, Role, VPC};
use crate::{Findings, Stack, expect, list, strings, text};

/// Verbs that take something away, or open a way to it.
const DESTRUCTIVE: [&str; 14] = [
    "Bypass",
    "Cancel",
    "Delete",
    "Disable",
    "Modify",
    "Pass",
    "PutBucket",
    "PutKeyPolicy",
    "Remove",
    "ReplicateDelete",
    "Reset",
    "Revoke",
    "Schedule",
    "Stop",
];

/// Every rule for every role of a stack, which must be exactly the `known` ones.
pub fn check(stack: &Stack, known: &[Role]) -> Findings {
    let mut findings = Vec::new();
    let made: BTreeSet<&str> = stack.of_type("AWS::IAM::Role").map(|(id, _)| id).collect();
    let wanted: BTreeSet<&str> = known.iter().map(|role| role.id).collect();
    expect(&mut findings, made == wanted, || format!("the roles are {made:?}, not {wanted:?}"));
    for role in known {
        let attached = list(&stack.get(role.id)["Properties"]["ManagedPolicyArns"]);
        for arn in attached.iter().map(text) {
            let ours = !stack.get(arn.trim_start_matches('@')).is_null();
            expect(&mut findings, ours, || format!("{}: a policy that is not ours: {arn}", role.id));
        }
        let statements = statements(stack, role.id);
        for statement in &statements {
            statement_is_narrow(role, statement, &mut findings);
        }
        let mut wanted: BTreeSet<&str> = role.actions.iter().copied().collect();
        if attached.iter().any(|arn| arn == "@LoopPolicy") {
            wanted.extend(LOOP);
        }
        let granted: BTreeSet<&str> = allowed(&statements).flat_map(|s| strings(&s["Action"])).collect();
        for action in granted.difference(&wanted) {
            findings.push(format!("{} may {action}, which is not in its list in tests/infra", role.id));
        }
        for action in wanted.difference(&granted) {
            findings.push(format!("{} may not {action}", role.id));
        }
        assumed_only_by_its_service(role.id, stack.get(role.id), &mut findings);
    }
    findings
}

/// IAM refuses more than 10,240 characters of inline policies in a role, and 6,144 in a managed policy; white space does
/// not count (IAM User Guide, "IAM and AWS STS quotas").
pub fn policies_fit(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    let length = |document: &Value| document.to_string().len();
    for (id, role) in stack.of_type("AWS::IAM::Role") {
        let inline = list(&role["Properties"]["Policies"]).iter();
        let all: usize = inline.map(|policy| length(&policy["PolicyDocument"])).sum();
        expect(&mut findings, all <= 10_240, || {
            format!("{id}: {all} characters of policies; IAM takes 10,240")
        });
    }
    for (id, policy) in stack.of_type("AWS::IAM::ManagedPolicy") {
        let all = length(&policy["Properties"]["PolicyDocument"]);
        expect(&mut findings, all <= 6_144, || format!("{id}: {all} characters; IAM takes 6,144"));
    }
    findings
}

/// Whatever deletes, deletes only what carries our name and our tag; of the vaults delete-expired alone, and recovery points only.
pub fn ours_alone_are_deleted(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    for role in ["BackupRedisRole", "DeleteExpiredRole"] {
        for statement in allowed(&statements(stack, role)) {
            let deletes = strings(&statement["Action"]).iter().any(|action| action.contains(":Delete"));
            let resources = strings(&statement["Resource"]);
            let tags = &statement["Condition"]["Null"];
            let named = resources.iter().all(|arn| arn.ends_with(":tidemark-*"));
            let ours = named && tags["aws:ResourceTag/tidemark:resource"] == "false";
            let held_not = tags["aws:ResourceTag/tidemark:legal-hold"] == "true";
            let point = |arn: &&str| {
                let vault = arn.strip_prefix("arn:aws:s3:::tidemark-vault-dev-123456789012-");
                vault.is_some_and(|rest| rest.ends_with("/redis/*") || rest.ends_with("/turso/*"))
            };
            let points = role == "DeleteExpiredRole" && resources.iter().all(point);
            expect(&mut findings, !deletes || (ours && held_not) || points, || {
                format!("{role} may delete what is not ours: {statement}")
            });
        }
    }
    findings
}

/// Whether deleting it takes a database away.
fn takes_a_database(action: &str) -> bool {
    let databases = ["CacheCluster", "DBCluster", "DBInstance", "ReplicationGroup", "ServerlessCache"];
    action.split_once(":Delete").is_some_and(|(_, what)| databases.contains(&what))
}

/// Databases are deleted by run-drill alone: what is called as what drills make and carries a drill's tag. What it has restored,
/// restore-database restores.
pub fn drills_alone_are_torn_down(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    for (role, _) in stack.of_type("AWS::IAM::Role") {
        for statement in allowed(&statements(stack, role)) {
            let actions = strings(&statement["Action"]);
            if !actions.iter().any(|action| takes_a_database(action)) {
                continue;
            }
            let named = |arn: &&str| arn.ends_with(":tidemark-drill-*");
            let is_named = strings(&statement["Resource"]).iter().all(named);
            let is_tagged = statement["Condition"]["Null"]["aws:ResourceTag/tidemark:drill"] == "false";
            expect(&mut findings, role == "RunDrillRole" && is_named && is_tagged, || {
                format!("{role} may delete a database that no drill made: {statement}")
            });
        }
    }
    let makes = |action: &str| action.contains(":Restore") || action.contains(":Create");
    for statement in allowed(&statements(stack, "RunDrillRole")) {
        for action in strings(&statement["Action"]) {
            expect(&mut findings, !makes(action) || action.starts_with("logs:"), || {
                format!("RunDrillRole restores by itself: {action}")
            });
            let arn = "arn:aws:lambda:us-east-1:123456789012:function:tidemark-dev-restore-database";
            let only = action != "lambda:InvokeFunction" || strings(&statement["Resource"]) == [arn];
            expect(&mut findings, only, || {
                format!("RunDrillRole may ask more than restore-database: {statement}")
            });
        }
    }
    findings
}

/// Whoever may delete backups may not read them: of the vaults their manifests, plans and the ledger, and nothing besides.
pub fn what_deletes_does_not_read(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    let point = "2026-11-22/shop/tidemark-shop-20261122t0300z-ellsxv";
    for region in ["us-east-1", "us-west-2"] {
        let vault = format!("arn:aws:s3:::tidemark-vault-dev-123456789012-{region}");
        for (key, is_wanted) in [
            (format!("turso/{point}/manifest.json"), true),
            (format!("redis/{point}/manifest.json"), true),
            (format!("turso/{point}/database.sqlite.zst"), false),
            (format!("redis/{point}/dump.rdb"), false),
        ] {
            for action in ["s3:GetObject", "s3:GetObjectVersion"] {
                let granted = may(stack, "DeleteExpiredRole", action, &format!("{vault}/{key}"));
                expect(&mut findings, granted == (is_wanted && action == "s3:GetObject"), || {
                    format!("DeleteExpiredRole: {action} of {key} in {region}: {granted}")
                });
            }
        }
    }
    findings
}

/// The writer of heartbeats holds what is for that alone: no other secret, nor the token of the organization.
pub fn a_writer_reads_its_own_secrets(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tidemark/";
    for (name, is_its_own) in [("heartbeat-keys-abc", true), ("turso-abc", false), ("orders-abc", false)] {
        let granted =
            may(stack, "WriteHeartbeatRole", "secretsmanager:GetSecretValue", &format!("{secret}{name}"));
        expect(&mut findings, granted == is_its_own, || {
            format!("WriteHeartbeatRole reads {name}: {granted}")
        });
    }
    findings
}

/// What only the code's role may be: never usable by the code itself where it is for the Lambda service.
pub fn vpc_is_not_for_the_code(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    let connected = [
        ("RestoreDatabaseRole", "restore-database"),
        ("RunDrillRole", "run-drill"),
        ("WriteHeartbeatRole", "write-heartbeat"),
    ];
    for (role, function) in connected {
        let denied = statements(stack, role).iter().any(|statement| {
            statement["Effect"] == "Deny"
                && strings(&statement["Action"]) == VPC
                && text(&statement["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"])
                    .ends_with(&format!(":function:tidemark-dev-{function}"))
        });
        expect(&mut findings, denied, || {
            format!("{role}: the code may use the network permissions of Lambda")
        });
    }
    findings
}

/// Who may do what in the state bucket, exactly: each function writes its own board and no other's.
pub fn the_state_is_divided(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    for (role, _) in stack.of_type("AWS::IAM::Role") {
        let wanted = in_the_state(role);
        let statements = statements(stack, role);
        let granted: BTreeSet<(String, String)> = allowed(&statements)
            .flat_map(|statement| {
                let resources = strings(&statement["Resource"]).into_iter().filter_map(place_in_the_state);
                resources.flat_map(|place| {
                    strings(&statement["Action"])
                        .into_iter()
                        .map(move |action| (action.to_owned(), place.clone()))
                })
            })
            .collect();
        for (action, place) in granted.difference(&wanted) {
            findings.push(format!("{role} may {action} in the state bucket: {place}"));
        }
        for (action, place) in wanted.difference(&granted) {
            findings.push(format!("{role} may not {action} in the state bucket: {place}"));
        }
    }
    findings
}

/// The actions of a role in the state bucket, each with its place there.
fn in_the_state(role: &str) -> BTreeSet<(String, String)> {
    let Some(function) = FUNCTIONS.iter().find(|function| function.id("Role") == role) else {
        return BTreeSet::new();
    };
    let board = format!("findings/{}.json", function.name);
    let keeps = |place: &str| ["s3:GetObject", "s3:PutObject"].map(|action| (action, place.to_owned()));
    // To list the bucket: without it, what is not there is a 403.
    let mut all = vec![("s3:ListBucket", "the bucket".to_owned())];
    all.extend(keeps(&board));
    match function.name {
        "backup-redis" => {
            all.extend(keeps("intake/redis/*"));
            all.extend(keeps("left-over/backup-redis.json"));
            all.extend(keeps("notes/backup-redis.json"));
        }
        "backup-turso" => {
            all.extend(keeps("intake/turso/*"));
            all.extend(keeps("left-over/backup-turso.json"));
            all.extend(keeps("staging/turso/*"));
            all.extend(keeps("turso/branches.json"));
            all.extend(keeps("turso/current.json"));
        }
        "check-posture" => {
            all.push(("s3:GetObject", "drills/*".to_owned()));
            all.push(("s3:GetObject", "watch/*".to_owned()));
        }
        "delete-expired" => all.extend(keeps("retention/locks.json")),
        "publish-report" => {
            all.push(("s3:GetObject", "drills/*".to_owned()));
            all.push(("s3:GetObject", "findings/*".to_owned()));
            all.push(("s3:GetObject", "watch/*".to_owned()));
        }
        "restore-database" => all.extend(keeps("restores/*")),
        "run-drill" => {
            all.extend(keeps("drills/*"));
            all.push(("s3:GetObject", "restores/turso/*".to_owned()));
        }
        "verify-backup" => all.extend(keeps("verify/memory.json")),
        "watch-rpo" => {
            all.extend(keeps("watch/*"));
            all.push(("s3:GetObject", "turso/current.json".to_owned()));
        }
        "write-heartbeat" => all.extend(keeps("heartbeats/*")),
        "send-alert" => {
            all.extend(keeps("alerts/open.json"));
            all.push(("s3:GetObject", "findings/*".to_owned()));
        }
        _ => {}
    }
    all.into_iter().map(|(action, place)| (action.to_owned(), place)).collect()
}

/// Where in the state bucket a resource of a policy is, if there; the whole ARN if it is of more than this one bucket.
fn place_in_the_state(resource: &str) -> Option<String> {
    let rest = resource.strip_prefix("arn:aws:s3:::")?;
    match rest.strip_prefix("tidemark-state-dev-123456789012-us-east-1") {
        Some("") => Some("the bucket".to_owned()),
        Some(rest) => Some(rest.strip_prefix('/').unwrap_or(resource).to_owned()),
        None => rest.starts_with("tidemark-state-").then(|| resource.to_owned()),
    }
}

/// Whether a role may do something to something; a `*` in a policy stands for anything, slashes too, as in IAM.
pub fn may(stack: &Stack, role: &str, action: &str, resource: &str) -> bool {
    let statements = statements(stack, role);
    allowed(&statements).any(|statement| {
        strings(&statement["Action"]).contains(&action)
            && strings(&statement["Resource"]).iter().any(|pattern| matches(pattern, resource))
    })
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| matches(rest, text)))
}

/// The statements of a role: its own, and those of our managed policies that it has.
fn statements<'a>(stack: &'a Stack, role: &str) -> Vec<&'a Value> {
    let properties = &stack.get(role)["Properties"];
    let own = list(&properties["Policies"]).iter().map(|policy| &policy["PolicyDocument"]);
    let managed = list(&properties["ManagedPolicyArns"])
        .iter()
        .map(|arn| &stack.get(text(arn).trim_start_matches('@'))["Properties"]["PolicyDocument"]);
    let attached = stack
        .resources
        .values()
        .filter(|resource| {
            ["AWS::IAM::Policy", "AWS::IAM::RolePolicy"].contains(&text(&resource["Type"]))
                && resource["Properties"].to_string().contains(&format!("\"@{role}\""))
        })
        .map(|resource| &resource["Properties"]["PolicyDocument"]);
    own.chain(managed).chain(attached).flat_map(|document| list(&document["Statement"])).collect()
}

fn allowed<'a>(statements: &'a [&'a Value]) -> impl Iterator<Item = &'a Value> {
    statements.iter().copied().filter(|statement| statement["Effect"] == "Allow")
}

fn statement_is_narrow(role: &Role, statement: &Value, findings: &mut Findings) {
    let id = role.id;
    let sid = text(&statement["Sid"]);
    for inverse in ["NotAction", "NotResource"] {
        expect(findings, statement[inverse].is_null(), || {
            format!("{id}/{sid} says what it does not mean: {inverse}")
        });
    }
    if statement["Effect"] != "Allow" {
        return;
    }
    for action in strings(&statement["Action"]) {
        expect(findings, !action.contains(['*', '?']), || format!("{id}/{sid} allows a pattern: {action}"));
        let verb = action.split_once(':').map_or(action, |(_, verb)| verb);
        let destructive = DESTRUCTIVE.iter().any(|start| verb.starts_with(start));
        expect(findings, !destructive || role.destructive.contains(&action), || {
            format!("{id}/{sid} may destroy: {action}")
        });
        for resource in strings(&statement["Resource"]) {
            expect(findings, is_narrow(resource) || role.anywhere.contains(&action), || {
                format!("{id}/{sid} allows {action} on {resource}")
            });
        }
        if action.starts_with("kms:") && !role.directly.contains(&action) {
            let via = &statement["Condition"]["StringEquals"]["kms:ViaService"];
            expect(findings, !via.is_null(), || {
                format!("{id}/{sid} allows {action} without a kms:ViaService")
            });
        }
    }
    if strings(&statement["Action"]).contains(&"kms:CreateGrant") {
        expect(findings, statement["Condition"]["Bool"]["kms:GrantIsForAWSResource"] == "true", || {
            format!("{id}/{sid} may give grants to anybody")
        });
    }
    if id != "ReplicationRole" && strings(&statement["Action"]).contains(&"s3:ListBucket") {
        // With StringLike a GetObject of what is not there is a 403, not the 404 that is waited for.
        let prefix = &statement["Condition"]["StringLikeIfExists"]["s3:prefix"];
        let (what, wanted): (_, &[&str]) = match sid {
            "ListFindings" => ("state", &["findings/*"]),
            "ListRecoveryPoints" => ("vaults", &["redis/*", "turso/*"]),
            "ObserveVaults" => ("vaults", &["redis/*", "turso/*", "marks/*"]),
            "ListExports" => ("exports", &["tidemark-*"]),
            "ListStaged" => ("staged restores", &["restores/*"]),
            "ListAges" => ("ages", &["watch/ages/*"]),
            "ListDrills" => ("drills", &["drills/*"]),
            "ListReports" => ("reports", &["reports/*"]),
            "ListRetention" => ("plans and marks", &["marks/*", "retention/*"]),
            "ListMarks" => ("marks", &["marks/*"]),
            "ListStagedCopies" => ("staged copies", &["staging/turso/*"]),
            _ => ("ledger", &["ledger/*"]),
        };
        let listed = strings(prefix);
        let only = !listed.is_empty() && listed.iter().all(|one| wanted.contains(one));
        expect(findings, only, || format!("{id}/{sid} lists the {what} so: {prefix}"));
    }
    if strings(&statement["Action"]).contains(&"events:PutEvents") {
        let source = &statement["Condition"]["ForAllValues:StringEquals"]["events:source"];
        expect(findings, source == "tidemark", || {
            format!("{id}/{sid} may speak for another source: {source}")
        });
    }
}

/// Our own resource, or an ARN with a Region, an account and at least the kind of resource. (S3's have neither.)
fn is_narrow(resource: &str) -> bool {
    if resource.starts_with('@') {
        return true;
    }
    match resource.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", "aws", "s3", "", "", name] => ["export", "state", "vault"]
            .iter()
            .any(|bucket| name.starts_with(&format!("tidemark-{bucket}-dev-123456789012-"))),
        ["arn", "aws", _, region, "123456789012", name] => {
            !region.is_empty() && !region.contains('*') && !name.starts_with('*')
        }
        _ => false,
    }
}

fn assumed_only_by_its_service(id: &str, role: &Value, findings: &mut Findings) {
    let trust = list(&role["Properties"]["AssumeRolePolicyDocument"]["Statement"]);
    let service = trust.first().map(|statement| text(&statement["Principal"]["Service"])).unwrap_or_default();
    let known = ["lambda.amazonaws.com", "s3.amazonaws.com", "scheduler.amazonaws.com"].contains(&service);
    expect(findings, trust.len() == 1 && known, || format!("{id} may be assumed by others: {trust:?}"));
    // Lambda assumes a function's role for the account's own functions only; the other two act for whoever asks them.
    if service != "lambda.amazonaws.com" {
        let account =
            trust.first().map(|statement| &statement["Condition"]["StringEquals"]["aws:SourceAccount"]);
        expect(findings, account.is_some_and(|account| account == "123456789012"), || {
            format!("{id} may be used by {service} for another account")
        });
    }
}
