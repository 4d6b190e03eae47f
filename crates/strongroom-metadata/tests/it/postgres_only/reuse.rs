//! Connections are used again: a new one costs the server as much as a hundred short statements.

use strongroom_metadata::{GroupFilter, Page};

use super::{ask, client, database, started};
use crate::world::admin;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_leaves_its_connection_to_the_next() {
    let Some(world) = started().await else { return };
    let direct = client(&database(&world).url()).await;
    for name in ["one", "two"] {
        world.metadata.create_group(&world.group(name, &["KEY"])).await.unwrap();
    }
    let list = async || {
        let page = Page { before: None, offset: 0, limit: 10 };
        let listed = world.metadata.group_page(admin(), GroupFilter::default(), page).await.unwrap();
        assert_eq!((listed.0.len(), listed.1), (2, 2));
        let sessions = "SELECT string_agg(pid::TEXT, ',' ORDER BY pid) FROM pg_stat_activity \
            WHERE datname = current_database() AND application_name = 'strongroom writes'";
        ask(&direct, sessions).await
    };
    let first = list().await;
    for _ in 0..5 {
        assert_eq!(list().await, first);
    }
}
