//! Which teams somebody manages, and what of a team's roles somebody else sees.

use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::SubjectName;
use strongroom_metadata::{GrantSource, Named, Page, RoleGrant};

use crate::world::{NOW, World, admin, change_identities, event, grant, member, named, role_grant};

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn managed_teams_in_pages() {
    let world = World::started().await;
    let (metadata, hand) = &world.by_hand();
    world.know(&["user:bob@x.io", "user:carol@x.io"]).await;
    let teams = ["own", "bound", "custom", "by-team", "ended", "ending", "read-only", "member", "foreign"].map(named);
    let [_, bound, custom, by_team, ended, ending, read_only, belongs, foreign] = &teams;
    let role = |name: &str, permissions: &str| (named(name), permissions.to_owned());
    let roles = [
        role("leads", r#"["team:read","team:manage-members"]"#),
        role("guests", r#"["team:read"]"#),
        role("not-quite", r#"["team:manage-members-not"]"#),
    ];
    let bind = named("bind");
    let bob = "user:bob@x.io";
    let until = |seconds| Some(NOW.plus_seconds(seconds));
    let grants = [
        role_grant(bob, "team", &bound.id, "team-manager"),
        // A second role on the same team makes it no second team.
        role_grant(bob, "team", &bound.id, "leads"),
        role_grant(bob, "team", &custom.id, "leads"),
        role_grant("team:own", "team", &by_team.id, "team-manager"),
        RoleGrant { expires_at: until(0), ..role_grant(bob, "team", &ended.id, "team-manager") },
        RoleGrant { expires_at: until(1), ..role_grant(bob, "team", &ending.id, "team-manager") },
        role_grant(bob, "team", &read_only.id, "guests"),
        role_grant(bob, "team", &read_only.id, "not-quite"),
        role_grant(bob, "team", &belongs.id, "team-member"),
        // On something else that happens to have the id of a team.
        role_grant(bob, "provider-account", &foreign.id, "team-manager"),
        role_grant("user:carol@x.io", "team", &foreign.id, "team-manager"),
    ];
    change_identities(metadata, &event("X"), |change| {
        for team in &teams {
            change.add_named(Named::Team, team, None);
        }
        for (row, permissions) in &roles {
            change.add_named(Named::Role, row, Some(("team", permissions)));
        }
        change.add_named(Named::RoleBinding, &bind, None);
        change.replace_team_people("team:own", &strings(&[bob]), &strings(&[bob]));
        change.grant(GrantSource::RoleBinding, &bind.id, &[], &grants);
    })
    .await
    .unwrap();
    let found = async |offset, limit| {
        let page = Page { before: None, offset, limit };
        let (teams, total) = metadata.managed_teams(&member(bob), page).await.unwrap();
        (teams.into_iter().map(|team| team.name).collect::<Vec<_>>(), total)
    };
    let newest_first = ["ending", "by-team", "custom", "bound", "own"];
    assert_eq!(found(0, 9).await, (strings(&newest_first), 5));
    assert_eq!(found(1, 2).await, (strings(&newest_first[1..3]), 5));
    assert_eq!(found(5, 2).await, (vec![], 5));
    hand.set(NOW.plus_seconds(1));
    assert_eq!(found(0, 2).await, (strings(&newest_first[1..3]), 4));
    // Who sees every group manages no team by that.
    let page = Page { before: None, offset: 0, limit: 9 };
    assert_eq!(metadata.managed_teams(&admin(), page).await.unwrap(), (vec![], 0));
}

#[tokio::test]
async fn of_a_team_s_roles_one_sees_those_on_what_one_sees() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let (bob, carol) = ("user:bob@x.io", "user:carol@x.io");
    world.know(&[bob, carol, "team:devs", "team:crew"]).await;
    world.in_team("team:crew", &[carol]).await;
    let both = [("team:devs", GroupRole::Editor), (bob, GroupRole::Viewer)];
    let seen = world.create("seen", &[], &both).await;
    let hidden = world.create("hidden", &[], &[("team:devs", GroupRole::Viewer)]).await;
    let by_team =
        world.create("by-team", &[], &[("team:devs", GroupRole::Reader), ("team:crew", GroupRole::Viewer)]).await;
    let bind = named("bind");
    change_identities(metadata, &event("X"), |change| {
        change.add_named(Named::RoleBinding, &bind, None);
        change.grant(GrantSource::RoleBinding, &bind.id, &[grant(seen.id, "team:devs", GroupRole::Admin)], &[]);
    })
    .await
    .unwrap();
    let view = async |who: &str| {
        let rows = metadata.group_grants_seen("team:devs", &member(who)).await.unwrap();
        let drawn = rows.into_iter().map(|(grant, group, name)| {
            assert_eq!(grant.subject, "team:devs");
            let id = [&seen, &hidden, &by_team].into_iter().find(|group| group.revision.name == name).unwrap().id;
            assert_eq!(group, id);
            format!("{name} {} {}", grant.role.id(), grant.source)
        });
        drawn.collect::<Vec<_>>()
    };
    let on_seen = ["seen secret-group-editor manifest", "seen secret-group-admin role-binding"];
    assert_eq!(view(bob).await, strings(&on_seen));
    assert_eq!(view(carol).await, ["by-team secret-group-reader manifest"]);
    assert_eq!(view("user:admin@x.io").await, [""; 0]);
    let all = metadata.group_grants_of("team:devs").await.unwrap();
    assert_eq!(all.len(), 4, "those who know of all are asked otherwise");

    // By its id.
    let crew = metadata.subject(&SubjectName::parse("team:crew").unwrap()).await.unwrap().unwrap();
    let name = metadata.subject_name(&crew.id).await.unwrap();
    assert_eq!(name.map(|name| name.as_str().to_owned()), Some("team:crew".to_owned()));
    assert_eq!(metadata.subject_name("nobody").await.unwrap(), None);
}
