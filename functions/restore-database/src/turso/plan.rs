//! From a person's request to an order, or to a refusal that says what is possible instead.

use jiff::Timestamp;
use reconcile::{Error, Plan, Result};
use turso::Database;

use super::{
    act::Action,
    observe::{Asked, document},
    wish::From,
    work::{Make, Stage, Work},
};
use crate::{
    drill::is_needed,
    orders::Order,
    points::{self, Found, Point},
    request::Target,
    restore::End,
};

/// The Region under which the ledger files what happened at Turso.
pub(crate) const REGION: &str = "turso";

/// Decides how the request is carried out.
pub(crate) fn plan(asked: &Asked, now: Timestamp) -> Result<Plan<Action>> {
    let request = &asked.request;
    if let Some(region) = &request.region {
        return Err(crate::request::invalid(format!(
            "\"region\" is {region:?}: where a Turso database is, its group says; name the \"group\" instead"
        )));
    }
    let restore = request.identity(REGION, now);
    let mut plan = Plan::empty();
    if let Some(ordered) = &asked.order
        && ordered.order.is_same(&restore, &request.to, request.drill.as_ref(), now)
        && !matches!(asked.order_end, Some(End::Failed(_)))
    {
        let action = Action::GoOn { ordered: Box::new(ordered.clone()) };
        plan.act(&request.resource, action, format!("{} was asked for already", ordered.order.restore.id));
        return Ok(plan);
    }
    is_needed(request.drill.as_ref(), now)?;
    free(asked)?;
    let (work, notes) = work(asked, now)?;
    let reason = format!("{} asked for {}", request.by(), request.to.as_tag());
    let (to, name, drill) = (request.to.as_tag(), request.name.clone(), request.drill.clone());
    let action = Action::Begin {
        order: Box::new(Order { restore, to, name, drill, work, refused: false }),
        document: document(&request.name),
        replacing: asked.order.as_ref().map(|ordered| ordered.version.clone()),
        notes,
    };
    plan.act(&request.resource, action, reason);
    Ok(plan)
}

/// The new name must be free: of databases, and of other restores under way.
fn free(asked: &Asked) -> Result<()> {
    let name = &asked.request.name;
    let by = match (&asked.order, &asked.bearer) {
        (Some(ordered), _) if !ordered.order.refused && asked.order_end.is_none() => {
            let (id, to) = (&ordered.order.restore.id, &ordered.order.to);
            format!("{id}, to {to}, is making {name} already")
        }
        (_, Some(database)) => {
            format!("there is a Turso database {name} in group {} already ({})", database.group, database.id)
        }
        (_, None) => return Ok(()),
    };
    Err(Error::misconfigured("NameTaken", format!("{by}; choose another name for \"as\"; nothing was done")))
}

fn work(asked: &Asked, now: Timestamp) -> Result<(Work, Vec<String>)> {
    let (request, wish) = (&asked.request, &asked.request.wish);
    let wanted = match &request.to {
        Target::Latest => Some(now),
        Target::Instant(instant) => Some(*instant),
        Target::RecoveryPoint(_) => None,
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted > now) {
        return Err(not_possible(asked, now, &format!("{wanted} is in the future")));
    }
    let branch = branch(asked, wanted, now);
    match (wish.from, branch) {
        (None | Some(From::Branch), Ok((source, at))) => Ok(branched(source, at, wanted)),
        (Some(From::Branch), Err(why)) => Err(not_possible(asked, now, &why)),
        (Some(From::Vault | From::RecoveryVault), _) => uploaded(asked, wanted, None, now),
        (None, Err(why)) => uploaded(asked, wanted, Some(why), now),
    }
}

/// What to branch and as of when; why that is not possible.
fn branch(
    asked: &Asked,
    wanted: Option<Timestamp>,
    now: Timestamp,
) -> Result<(&Database, Timestamp), String> {
    let request = &asked.request;
    let Some(wanted) = wanted else {
        return Err("a recovery point by its name is in the vault".to_owned());
    };
    let Some(source) = &asked.source else {
        return Err(format!("{} is gone, and Turso branches no database that was deleted", request.resource));
    };
    if request.wish.group.as_ref().is_some_and(|group| *group != source.group) {
        return Err(format!("a branch is in its source's group, {}", source.group));
    }
    let window = asked.organization.pitr_window();
    let earliest = now - window;
    if wanted < earliest {
        return Err(format!(
            "{wanted} is before Turso's PITR window, which begins at {earliest} ({} hours, plan {:?})",
            window.as_hours(),
            asked.organization.plan
        ));
    }
    // Which database bore the name then, the newest recovery point of that time knows.
    match &asked.found {
        Found::Point(point) if point.manifest.incarnation != source.id => Err(format!(
            "the database of that name at {wanted} was {}, which was deleted since",
            point.manifest.incarnation
        )),
        _ => Ok((source, wanted)),
    }
}

fn branched(source: &Database, at: Timestamp, wanted: Option<Timestamp>) -> (Work, Vec<String>) {
    let note = format!(
        "made as a branch of {} at {at}; Turso may leave out up to 15 s before that instant",
        source.name
    );
    let make = Make::Branch { of: source.name.clone(), of_id: source.id.clone() };
    let group = source.group.clone();
    (Work { make, group, as_of: at, wanted, failures: 0, adopted: false, stage: Stage::Ordered }, vec![note])
}

fn uploaded(
    asked: &Asked,
    wanted: Option<Timestamp>,
    why: Option<String>,
    now: Timestamp,
) -> Result<(Work, Vec<String>)> {
    let Found::Point(point) = &asked.found else {
        let refusal =
            points::refusal(&asked.request.resource, &asked.request.to, &asked.found, &asked.vault, now);
        let why = why.map(|why| format!("no branch: {why}; and ")).unwrap_or_default();
        return Err(Error::new(refusal.kind(), refusal.code().to_owned(), format!("{why}{refusal}")));
    };
    let manifest = &point.manifest;
    let [object] = manifest.objects.as_slice() else {
        return Err(Error::permanent(
            "ManifestUnreadable",
            format!(
                "{} has {} objects, and a database is one; nothing was done",
                manifest.id,
                manifest.objects.len()
            ),
        ));
    };
    let kept = || manifest.source.get("group").and_then(|group| group.as_str()).map(str::to_owned);
    let lives = || asked.source.as_ref().map(|source| source.group.clone());
    let Some(group) = asked.request.wish.group.clone().or_else(lives).or_else(kept) else {
        return Err(Error::misconfigured(
            "GroupMissing",
            format!(
                "the group of {} is not known: name one (\"group\"); nothing was done",
                asked.request.resource
            ),
        ));
    };
    let mut notes: Vec<String> = why.into_iter().map(|why| format!("no branch: {why}")).collect();
    notes.push(format!(
        "made from recovery point {}, which holds the data as of {}",
        manifest.id, manifest.taken_at
    ));
    if let Some(silent) = &asked.silent {
        notes.push(format!("the vault at home did not answer ({silent}); its copy in {} did", asked.region));
    }
    let make = Make::Upload {
        region: asked.region.clone(),
        id: manifest.id.clone(),
        prefix: point.prefix(),
        object: object.clone(),
    };
    let as_of = manifest.taken_at;
    Ok((Work { make, group, as_of, wanted, failures: 0, adopted: false, stage: Stage::Ordered }, notes))
}

fn not_possible(asked: &Asked, now: Timestamp, why: &str) -> Error {
    let earliest = now - asked.organization.pitr_window();
    let nearest = match &asked.found {
        Found::Point(point) => nearest(point),
        Found::Pending | Found::Nothing(_) => "the vault holds no recovery point for that".to_owned(),
    };
    Error::misconfigured(
        "OutsidePitrWindow",
        format!(
            "{} cannot be restored so: {why}; a branch is possible from {earliest} to {now} while the database lives; {nearest}; \
             nothing was done",
            asked.request.resource
        ),
    )
}

fn nearest(point: &Point) -> String {
    format!("the nearest recovery point is {} ({})", point.manifest.id, point.manifest.taken_at)
}
