//! The model against the suite, as each kind of store that it can be.

use strongroom_stores::{
    conformance,
    model::{ModelKind, ModelStore},
};

async fn skipped(kind: ModelKind) -> Vec<&'static str> {
    conformance::run(&ModelStore::new(kind), 1).await
}

#[tokio::test]
async fn it_conforms_as_any_kind_of_store() {
    let row = "a_row_opens_only_where_it_belongs";
    let (conditions, marks, found) = ("conditions_are_kept", "marks_come_back", "a_marked_put_is_found");
    let (staging, removal) = ("staged_versions_are_unseen_until_promoted", "one_version_can_be_removed");
    let newest = "an_entry_without_its_newest_takes_another";
    for (name, kind) in ModelKind::each() {
        let expected: &[&str] = match name {
            "staging" => &[row, removal, newest],
            "checked" => &[row, staging],
            "plain" => &[row, conditions, marks, found, staging, removal, newest],
            "soft delete" => &[row, conditions, staging, removal, newest],
            "no marks" => &[row, marks, found, staging],
            "no conditions" => &[row, conditions, staging],
            "no removal" => &[row, staging, removal, newest],
            "staging and soft delete" => &[row],
            other => panic!("what is skipped by {other}?"),
        };
        assert_eq!(skipped(kind).await, expected, "{name}");
    }
    let (latest, lists) = ("the_latest_is_the_last_put", "listing_pages_through_everything");
    let blind = [row, latest, lists, marks, staging, newest, "a_removed_name_can_be_used_again"];
    assert_eq!(skipped(ModelKind::checked().with(|can| can.enumerates = false)).await, blind);
}
