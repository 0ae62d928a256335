//! The fields of a study.

use authz::study::{LifeError, Plan, StudyStatus};
use jiff::{SignedDuration, Timestamp};
use runtime::{Failure, rest::Fields};
use store::{RetentionPolicy, Study, StudyRecord};

/// The study that a whole body of the right shape describes.
pub fn begin(fields: &Fields, grace: SignedDuration) -> Result<StudyRecord, Failure> {
    let plan = Plan {
        status: status(fields)?.unwrap_or(StudyStatus::Active),
        starts_on: fields.optional_date("startsOn")?,
        ends_on: fields.optional_date("endsOn")?,
    };
    Ok(StudyRecord {
        name: fields.text("name", 255)?,
        description: fields.lines("description", 10_000)?,
        icon_url: icon_url(fields)?,
        life: plan.begins(grace).map_err(refused)?,
        retention: retention(fields)?,
    })
}

/// What a study becomes by a body of the right shape. What it does not have stays; what it has as null is taken away. In the
/// archive everything stays.
pub fn follow(fields: &Fields, current: &Study, now: Timestamp, grace: SignedDuration) -> Result<StudyRecord, Failure> {
    if fields.has("organization") && fields.id("organization")? != current.organization.id {
        return Err(Failure::field("organization", "A study stays in its organization."));
    }
    let mut record = StudyRecord::from(current);
    let mut plan = current.life.plan();
    if fields.has("name") {
        record.name = fields.text("name", 255)?;
    }
    if fields.has("description") {
        record.description = fields.lines("description", 10_000)?;
    }
    if fields.has("iconUrl") {
        record.icon_url = icon_url(fields)?;
    }
    if fields.has("retentionPolicy") {
        record.retention = retention(fields)?;
    }
    if let Some(status) = status(fields)? {
        plan.status = status;
    }
    if fields.has("startsOn") {
        plan.starts_on = fields.optional_date("startsOn")?;
    }
    if fields.has("endsOn") {
        plan.ends_on = fields.optional_date("endsOn")?;
    }
    record.life = current.life.followed_by(plan, now, grace).map_err(refused)?;
    if current.life.status == StudyStatus::Archived && record != StudyRecord::from(current) {
        return Err(refused(LifeError::IsArchived));
    }
    Ok(record)
}

fn status(fields: &Fields) -> Result<Option<StudyStatus>, Failure> {
    let Some(text) = fields.optional_text("status", 20)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Failure::field("status", "It is not a status of a study."))
}

fn icon_url(fields: &Fields) -> Result<Option<String>, Failure> {
    let url = fields.optional_text("iconUrl", 2_000)?;
    let is_web = |url: &String| ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    // A user or a password in it would be shown to all who see the study.
    let has_user = |url: &String| url.split('/').nth(2).is_some_and(|authority| authority.contains('@'));
    match url {
        Some(url) if !is_web(&url) || has_user(&url) || url.contains(char::is_whitespace) => {
            Err(Failure::field("iconUrl", "Enter an address that begins with https:// or http:// and names no user."))
        }
        url => Ok(url),
    }
}

fn retention(fields: &Fields) -> Result<Option<RetentionPolicy>, Failure> {
    let Some(policy) = fields.object("retentionPolicy") else { return Ok(None) };
    let days = policy.value("days").map(|_| policy.id("days")).transpose()?;
    if days.is_some_and(|days| days < 1) {
        return Err(Failure::field("retentionPolicy.days", "Enter a number of days from 1."));
    }
    let reference = policy.optional_text("reference", 500)?;
    Ok((reference.is_some() || days.is_some()).then_some(RetentionPolicy { reference, days }))
}

fn refused(error: LifeError) -> Failure {
    match error {
        LifeError::EndsBeforeStart => Failure::field("endsOn", "The last day must not be before the first."),
        LifeError::NotABeginning => Failure::field("status", "A new study is a draft or active."),
        LifeError::DoesNotFollow => Failure::Conflict(
            "The study cannot get this status now. A draft becomes active; an active study is completed, and a completed one can \
             be taken up again; each can be archived, and stays so.",
        ),
        LifeError::IsArchived => Failure::Conflict("The study is archived. It is kept as it is."),
        LifeError::HasEnded => Failure::Conflict(
            "The access of researchers has ended with the study, as its patients were told, and is not opened again.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{Completeness, shapes::study::NEW_STUDY};
    use authz::study::AccessUntil;
    use runtime::Failure;
    use serde_json::{Value, json};
    use store::StudyOrganization;

    const GRACE: SignedDuration = SignedDuration::from_hours(24);

    fn body() -> Value {
        json!({ "name": "N", "description": "D", "organization": 20003 })
    }

    fn with(change: &Value) -> Result<StudyRecord, Failure> {
        let mut body = body();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let fields = Fields::of(&body).unwrap();
        fields.check(&NEW_STUDY, Completeness::Whole)?;
        begin(&fields, GRACE)
    }

    fn changed(change: &Value) -> Result<StudyRecord, Failure> {
        let begun = with(&json!({ "iconUrl": "https://a.example/i.png", "endsOn": "2027-01-31",
            "retentionPolicy": { "days": 10 } }))?;
        let current = Study {
            id: 30001,
            name: begun.name,
            description: begun.description,
            organization: StudyOrganization { id: 20003, name: String::new(), kind: String::new() },
            icon_url: begun.icon_url,
            life: begun.life,
            retention: begun.retention,
            last_updated: Timestamp::UNIX_EPOCH,
        };
        let fields = Fields::of(change).unwrap();
        fields.check(&NEW_STUDY, Completeness::Part)?;
        follow(&fields, &current, "2026-11-22T10:00:00Z".parse().unwrap(), GRACE)
    }

    fn names(result: Result<StudyRecord, Failure>) -> String {
        match result {
            Err(Failure::Fields(fields)) => fields.into_keys().collect::<Vec<_>>().join(","),
            Err(Failure::Conflict(_)) => "conflict".to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_body_of_existing_apps_makes_an_active_study() {
        let study = with(&json!({})).unwrap();
        assert_eq!((study.life.status, study.life.access), (StudyStatus::Active, AccessUntil::Always));
        assert_eq!((study.icon_url, study.retention), (None, None));
        let study = with(&json!({ "description": "One\nTwo", "status": "draft" })).unwrap();
        assert_eq!((study.description.as_str(), study.life.access), ("One\nTwo", AccessUntil::Never));
    }

    #[test]
    fn every_problem_has_its_fields_name() {
        for (change, expected) in [
            (json!({ "name": "" }), "name"),
            (json!({ "name": "a\nb" }), "name"),
            (json!({ "description": "a\u{0}b" }), "description"),
            (json!({ "iconUrl": "javascript:alert(1)" }), "iconUrl"),
            (json!({ "iconUrl": "https://a b" }), "iconUrl"),
            (json!({ "status": "completed" }), "status"),
            (json!({ "status": "over" }), "status"),
            (json!({ "startsOn": "2027-02-01", "endsOn": "2027-01-31" }), "endsOn"),
            (json!({ "endsOn": "soon" }), "endsOn"),
            (json!({ "retentionPolicy": 5 }), "retentionPolicy"),
            (json!({ "retentionPolicy": { "days": 0 } }), "retentionPolicy.days"),
            (json!({ "retentionPolicy": { "years": 5 } }), "retentionPolicy.years"),
            (json!({ "patients": [40001] }), "patients"),
        ] {
            assert_eq!(names(with(&change)), expected, "{change}");
        }
    }

    #[test]
    fn what_a_change_does_not_name_stays_and_null_takes_away() {
        let same = changed(&json!({})).unwrap();
        assert_eq!(same.icon_url.as_deref(), Some("https://a.example/i.png"));
        assert_eq!(same.life.access, AccessUntil::Until("2027-02-02T00:00:00Z".parse().unwrap()));
        let bare = changed(&json!({ "iconUrl": null, "endsOn": null, "retentionPolicy": null, "name": "M" })).unwrap();
        assert_eq!((bare.icon_url, bare.retention, bare.life.access), (None, None, AccessUntil::Always));
        assert_eq!((bare.name.as_str(), bare.description.as_str()), ("M", "D"));
        assert!(changed(&json!({ "organization": 20003 })).is_ok());
        for (change, expected) in [
            (json!({ "organization": 20007 }), "organization"),
            (json!({ "name": null }), "name"),
            (json!({ "status": null }), "status"),
            (json!({ "status": "draft" }), "conflict"),
        ] {
            assert_eq!(names(changed(&change)), expected, "{change}");
        }
    }
}
