//! The model against the suite, as each kind of store that it can be.

use strongroom_stores::{
    StoreDescription, conformance,
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
    assert_eq!(skipped(ModelKind::staging()).await, [row, removal, newest]);
    assert_eq!(skipped(ModelKind::checked()).await, [row, staging]);
    assert_eq!(skipped(ModelKind::plain()).await, [row, conditions, marks, found, staging, removal, newest]);
    assert_eq!(skipped(ModelKind::soft_delete()).await, [row, conditions, staging, removal, newest]);
    let without = |take: fn(&mut StoreDescription)| ModelKind::checked().with(take);
    assert_eq!(skipped(without(|can| can.marks = false)).await, [row, marks, found, staging]);
    assert_eq!(skipped(without(|can| can.conditional_put = false)).await, [row, conditions, staging]);
    assert_eq!(skipped(without(|can| can.removes_versions = false)).await, [row, staging, removal, newest]);
    let (latest, lists) = ("the_latest_is_the_last_put", "listing_pages_through_everything");
    let blind = [row, latest, lists, marks, staging, newest, "a_removed_name_can_be_used_again"];
    assert_eq!(skipped(without(|can| can.enumerates = false)).await, blind);
    assert_eq!(skipped(without(|can| (can.staging, can.soft_delete) = (true, true))).await, [row]);
}
