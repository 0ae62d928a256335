//! `docs/compliance/gdpr.md` says what holds each article of Regulation (EU) 2016/679 that software can meet.

use crate::{
    hipaa::{problem, rows},
    template::text,
};

/// The articles that each need a row, by what the first cell begins with.
const ARTICLES: [&str; 41] = [
    "5(1)(a)", "5(1)(b)", "5(1)(c)", "5(1)(d)", "5(1)(e)", "5(1)(f)", "5(2)", "7(1)", "7(2)", "7(3)", "9(2)(a)",
    "12(1)", "12(2)", "12(4)", "12(6)", "13", "15(1)(a)", "15(1)(c)", "15(2)", "15(3)", "16", "17(1)", "17(2)",
    "17(3)(b)", "18", "19", "20(1)", "20(2)", "21", "22", "25", "28", "29", "30", "32(1)(a)", "32(1)(b)", "32(1)(c)",
    "32(1)(d)", "33", "34", "35",
];

/// What is the operator's or the controllers'.
const OF_OTHERS: (&str, &[&str]) =
    ("by the operator: ", &["15(2)", "26, 28", "35, 36", "37 to 39", "44 to 49", "89(1)"]);

#[test]
fn every_article_is_held_by_tests_that_exist() {
    let rows = rows(&text("docs/compliance/gdpr.md"));
    let named: Vec<&str> = rows.iter().flat_map(|(first, _)| first.split(", ")).collect();
    let missing: Vec<&str> = ARTICLES.into_iter().filter(|article| !named.contains(article)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let problems: Vec<String> = rows.iter().filter_map(|(first, held)| problem(first, held, OF_OTHERS)).collect();
    assert_eq!(problems, Vec::<String>::new());
}
