//! Random histories of grants, enrolments, memberships and studies: after every step, what every practitioner can see in the
//! database is exactly what the rule `authz::consent::access` says, by search and by read.

use audit::{Action, Context};
use authz::{
    PractitionerId,
    consent::{Access, Decision, StudyFacts, access},
    study::{AccessUntil, Life, Plan, StudyStatus},
};
use end_to_end::World;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};
use store::{BroughtBy, ObservationQuery, ReadOutcome, Reader, Store};

const ORGANIZATIONS: [i32; 2] = [20003, 20007];
const PRACTITIONERS: [i32; 3] = [80003, 80004, 80005];
const PATIENTS: [i32; 3] = [40001, 40002, 40003];
/// Studies and their organizations.
const STUDIES: [(i32, i32); 3] = [(30001, 20003), (30002, 20003), (30004, 20007)];
/// Of Open mHealth, and of LOINC: the code system makes no difference.
const SCOPES: [i32; 2] = [50002, 50017];

/// A small deterministic source of choices (xorshift64*), so that a seed tells the whole history.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % bound
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// The history so far, as a person would keep it.
#[derive(Default)]
struct Model {
    members: BTreeSet<(i32, i32)>,
    patients: BTreeSet<(i32, i32)>,
    enrolled: BTreeSet<(i32, i32)>,
    requested: BTreeSet<(i32, i32)>,
    lives: BTreeMap<i32, Life>,
    decisions: BTreeMap<(i32, i32, i32), Decision>,
    /// Observation to (patient, scope).
    observations: BTreeMap<i64, (i32, i32)>,
    /// Those that a FHIR Source brought.
    brought: BTreeSet<i64>,
}

impl Model {
    fn facts(&self, practitioner: i32, patient: i32, scope: i32, only: Option<i32>) -> Vec<StudyFacts> {
        STUDIES
            .into_iter()
            .filter(|(study, _)| only.is_none_or(|only| only == *study))
            .map(|(study, organization)| StudyFacts {
                practitioner_is_member: self.members.contains(&(organization, practitioner)),
                patient_of_organization: self.patients.contains(&(organization, patient)),
                enrolled: self.enrolled.contains(&(study, patient)),
                requested: self.requested.contains(&(study, scope)),
                gives_access: self.lives[&study].access.allows(Timestamp::now()),
                decision: self.decisions.get(&(patient, study, scope)).copied().unwrap_or(Decision::Pending),
            })
            .collect()
    }

    fn visible(&self, act: Access, practitioner: i32, patient: Option<i32>, study: Option<i32>) -> BTreeSet<i64> {
        self.observations
            .iter()
            .filter(|(_, (of, _))| patient.is_none_or(|patient| patient == *of))
            .filter(|(_, (of, scope))| access(act, &self.facts(practitioner, *of, *scope, study)).is_ok())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whether a practitioner may name the patient or the study in a search at all.
    fn may_name(&self, practitioner: i32, patient: Option<i32>, study: Option<i32>) -> bool {
        let shares = |patient| {
            ORGANIZATIONS.into_iter().any(|organization| {
                self.members.contains(&(organization, practitioner)) && self.patients.contains(&(organization, patient))
            })
        };
        let owns = |study| {
            STUDIES
                .into_iter()
                .any(|(id, organization)| id == study && self.members.contains(&(organization, practitioner)))
        };
        patient.is_none_or(shares) && study.is_none_or(owns)
    }
}

/// Empties the demo world of everything that the model decides, and starts with everybody in every place and nothing decided:
/// from there the random changes lead to interesting worlds sooner.
async fn start(world: &World) -> Model {
    for statement in [
        "DELETE FROM study_patient",
        "DELETE FROM patient_organization",
        "DELETE FROM organization_member",
        "DELETE FROM study_scope_request",
        "DELETE FROM study_observation",
        "DELETE FROM consent_current",
        "DELETE FROM observation",
        "DELETE FROM observation_identifier",
        "ALTER TABLE consent_event DISABLE TRIGGER consent_event_immutable",
        "DELETE FROM consent_event",
        "ALTER TABLE consent_event ENABLE TRIGGER consent_event_immutable",
    ] {
        world.sql(statement).await;
    }
    world
        .sql("INSERT INTO scope (id, system, code, text) VALUES (50017, 'http://loinc.org', '2339-0', 'Glucose')")
        .await;
    let mut model = Model::default();
    for organization in ORGANIZATIONS {
        for practitioner in PRACTITIONERS {
            model.members.insert((organization, practitioner));
            world
                .sql(&format!("INSERT INTO organization_member VALUES ({organization}, {practitioner}, 'viewer')"))
                .await;
        }
        for patient in PATIENTS {
            model.patients.insert((organization, patient));
            world.sql(&format!("INSERT INTO patient_organization VALUES ({patient}, {organization})")).await;
        }
    }
    for (study, organization) in STUDIES {
        let life = Plan { status: StudyStatus::Active, starts_on: None, ends_on: None }.begins(GRACE).expect("a life");
        model.lives.insert(study, life);
        for scope in SCOPES {
            model.requested.insert((study, scope));
            world.sql(&format!("INSERT INTO study_scope_request VALUES ({study}, {scope})")).await;
        }
        for patient in PATIENTS {
            model.enrolled.insert((study, patient));
            world.sql(&format!("INSERT INTO study_patient (study_id, organization_id, patient_id) VALUES ({study}, {organization}, {patient})")).await;
        }
    }
    for patient in PATIENTS {
        world.sql(&format!("INSERT INTO fhir_source (patient_id, data_source_id, label, fhir_base_url) VALUES ({patient}, 70001, 'EHR', 'https://ehr.example')")).await;
        for scope in SCOPES {
            upload(world, &mut model, patient, scope).await;
        }
    }
    model
}

/// Every other observation is brought by the patient's FHIR Source.
async fn upload(world: &World, model: &mut Model, patient: i32, scope: i32) {
    let is_brought = model.observations.len() % 2 == 1;
    let rows = world
        .sql(&format!(
            "INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content, source_id)
             VALUES ({patient}, {scope}, 70001, 'final', clock_timestamp(), clock_timestamp(), clock_timestamp() + interval '1 second', '{{}}',
                     (SELECT id FROM fhir_source WHERE patient_id = {patient} AND {is_brought})) RETURNING id"
        ))
        .await;
    model.observations.insert(rows[0].get(0), (patient, scope));
    if is_brought {
        model.brought.insert(rows[0].get(0));
    }
}

/// How long researchers keep access after an end.
const GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The next life of a study, by a change that was made today or some time ago; where nothing may follow, that of a new study.
fn change_of_life(life: Life, choose: &mut Choices) -> Life {
    let day = |days: i64| -> Date {
        (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_zoned(TimeZone::UTC).date()
    };
    let plan = Plan {
        status: choose.of(&[
            StudyStatus::Active,
            StudyStatus::Active,
            StudyStatus::Completed,
            StudyStatus::Draft,
            StudyStatus::Archived,
        ]),
        starts_on: None,
        ends_on: choose.of(&[None, None, Some(10), Some(0), Some(-10), Some(-40)]).map(day),
    };
    let at = Timestamp::now() - SignedDuration::from_hours(24 * choose.of(&[0, 20, 40]));
    life.followed_by(plan, at, GRACE)
        .or_else(|_| plan.begins(GRACE))
        .unwrap_or_else(|_| Plan { status: StudyStatus::Active, ..plan }.begins(GRACE).expect("a life"))
}

/// A life as the database keeps it.
fn live(study: i32, life: Life) -> String {
    let access = match life.access {
        AccessUntil::Never => "-infinity".to_owned(),
        AccessUntil::Always => "infinity".to_owned(),
        AccessUntil::Until(end) => end.to_string(),
    };
    let ends_on = life.ends_on.map_or("NULL".to_owned(), |day| format!("'{day}'"));
    format!(
        "UPDATE study SET status = '{}', ends_on = {ends_on}, access_until = '{access}' WHERE id = {study}",
        life.status.name()
    )
}

/// One step: a random change, made in the database and in the model. Returns it in words.
async fn step(world: &World, model: &mut Model, choose: &mut Choices) -> String {
    let organization = choose.of(&ORGANIZATIONS);
    let practitioner = choose.of(&PRACTITIONERS);
    let patient = choose.of(&PATIENTS);
    let (study, owner) = choose.of(&STUDIES);
    let scope = choose.of(&SCOPES);
    let statement = match choose.below(16) {
        0 => {
            let role = choose.of(&["viewer", "member", "manager"]);
            model.members.insert((organization, practitioner));
            format!(
                "INSERT INTO organization_member VALUES ({organization}, {practitioner}, '{role}') ON CONFLICT (practitioner_id, organization_id) DO UPDATE SET role = EXCLUDED.role"
            )
        }
        1 => {
            model.members.remove(&(organization, practitioner));
            format!(
                "DELETE FROM organization_member WHERE organization_id = {organization} AND practitioner_id = {practitioner}"
            )
        }
        2 => {
            model.patients.insert((organization, patient));
            format!("INSERT INTO patient_organization VALUES ({patient}, {organization}) ON CONFLICT DO NOTHING")
        }
        3 => {
            model.patients.remove(&(organization, patient));
            model.enrolled.retain(|(id, of)| *of != patient || !STUDIES.contains(&(*id, organization)));
            format!(
                "DELETE FROM patient_organization WHERE patient_id = {patient} AND organization_id = {organization}"
            )
        }
        4 if model.patients.contains(&(owner, patient)) => {
            if model.enrolled.insert((study, patient)) {
                // What was decided before this enrolment was decided about another.
                model.decisions.retain(|(who, of, _), _| (*who, *of) != (patient, study));
            }
            format!(
                "INSERT INTO study_patient (study_id, organization_id, patient_id) VALUES ({study}, {owner}, {patient}) ON CONFLICT DO NOTHING"
            )
        }
        5 => {
            model.enrolled.remove(&(study, patient));
            format!("DELETE FROM study_patient WHERE study_id = {study} AND patient_id = {patient}")
        }
        6 => {
            if model.requested.insert((study, scope)) {
                // Who decided before the study asked, decided about another request.
                model.decisions.retain(|(_, of, about), _| (*of, *about) != (study, scope));
            }
            format!("INSERT INTO study_scope_request VALUES ({study}, {scope}) ON CONFLICT DO NOTHING")
        }
        7 if choose.below(3) == 0 => {
            model.requested.remove(&(study, scope));
            format!("DELETE FROM study_scope_request WHERE study_id = {study} AND scope_id = {scope}")
        }
        8 => {
            let life = change_of_life(model.lives[&study], choose);
            model.lives.insert(study, life);
            live(study, life)
        }
        9 => {
            upload(world, model, patient, scope).await;
            return format!("upload ({patient}, {scope})");
        }
        _ => {
            let (decision, actions) = choose.of(&[
                ("granted", "rs"),
                ("granted", "rs"),
                ("granted", "r"),
                ("granted", "s"),
                ("refused", "rs"),
                ("withdrawn", "rs"),
            ]);
            let state = match decision {
                "granted" => Decision::Granted { read: actions.contains('r'), search: actions.contains('s') },
                "refused" => Decision::Refused,
                _ => Decision::Pending,
            };
            model.decisions.insert((patient, study, scope), state);
            format!(
                "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, actions, decided_by, request_id)
                 SELECT id, {study}, {scope}, '{decision}', '{actions}', user_id, 'property' FROM patient WHERE id = {patient}"
            )
        }
    };
    world.sql(&statement).await;
    statement
}

async fn found(
    store: &Store,
    practitioner: i32,
    patient: Option<i32>,
    study: Option<i32>,
    brought_by: BroughtBy,
) -> Option<BTreeSet<i64>> {
    let context = Context::new("property", None, None, Action::Search, "Observation");
    let mut query = ObservationQuery::new(Reader::Practitioner(PractitionerId(practitioner)));
    query.patients = patient.into_iter().collect();
    query.study = study;
    query.brought_by = brought_by;
    query.count = 1000;
    let page = store.search_observations(&context, &query, false).await.expect("a page").ok()?;
    Some(page.rows.iter().map(|row| row.id).collect())
}

async fn compare(store: &Store, model: &Model, history: &[String]) {
    for practitioner in PRACTITIONERS {
        let named = PATIENTS.map(Some).into_iter().chain([None]);
        for patient in named {
            for study in STUDIES.map(|(id, _)| Some(id)).into_iter().chain([None]) {
                if patient.is_none() && study.is_none() {
                    continue;
                }
                let expected = model
                    .may_name(practitioner, patient, study)
                    .then(|| model.visible(Access::Search, practitioner, patient, study));
                let sources = BroughtBy::Sources { is: Vec::new(), below: Vec::new() };
                for (brought_by, is_wanted) in
                    [(BroughtBy::Anybody, [true, true]), (BroughtBy::Nobody, [true, false]), (sources, [false, true])]
                {
                    let wanted = |id: &i64| is_wanted[usize::from(model.brought.contains(id))];
                    let expected = expected.clone().map(|all| all.into_iter().filter(wanted).collect());
                    let what = format!("{patient:?} in {study:?} brought by {brought_by:?}");
                    let actual = found(store, practitioner, patient, study, brought_by).await;
                    assert_eq!(actual, expected, "search by {practitioner} of {what} after {history:#?}");
                }
            }
        }
        let readable = model.visible(Access::Read, practitioner, None, None);
        for (id, (patient, scope)) in &model.observations {
            let context = Context::new("property", None, None, Action::Read, "Observation");
            let reader = Reader::Practitioner(PractitionerId(practitioner));
            let outcome = store.read_observation(&context, reader, *id).await.expect("an outcome");
            match (outcome, access(Access::Read, &model.facts(practitioner, *patient, *scope, None))) {
                (ReadOutcome::Found(_), Ok(())) => assert!(readable.contains(id)),
                (ReadOutcome::Refused(audit::RefusedBy::Layer(_)), Err(_)) => {}
                (outcome, expected) => {
                    panic!("read of {id} by {practitioner}: {outcome:?}, expected {expected:?} after {history:#?}")
                }
            }
        }
    }
}

async fn history(seed: u64) {
    const STEPS: usize = 60;
    let world = World::new().await;
    let mut model = start(&world).await;
    let database = world.store();
    let mut choose = Choices(seed);
    let mut steps = Vec::new();
    let mut sightings = 0;
    for number in 0..STEPS {
        steps.push(step(&world, &mut model, &mut choose).await);
        // Comparing after every third step lets changes meet each other in between.
        if number % 3 == 2 {
            compare(&database, &model, &steps).await;
            sightings +=
                PRACTITIONERS.map(|one| model.visible(Access::Search, one, None, None).len()).iter().sum::<usize>();
        }
    }
    assert!(sightings > 0, "a history in which nobody ever sees anything proves nothing: choose another seed");
}

#[tokio::test]
async fn what_practitioners_see_is_what_the_rule_says_history_1() {
    history(0x9e37_79b9_7f4a_7c15).await;
}

#[tokio::test]
async fn what_practitioners_see_is_what_the_rule_says_history_2() {
    history(0x1234_5678_9abc_def1).await;
}

#[tokio::test]
async fn what_practitioners_see_is_what_the_rule_says_history_3() {
    history(0xdead_beef_cafe_f00d).await;
}

#[tokio::test]
async fn what_practitioners_see_is_what_the_rule_says_history_4() {
    history(0x0f1e_2d3c_4b5a_6978).await;
}
