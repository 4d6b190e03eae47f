//! Who has a role through a team, and for how long: the same in every read, at once and no longer.

use strongroom_domain::Timestamp;
use strongroom_domain::role::GroupRole::{self, Admin, Editor, Reader, Viewer};
use strongroom_metadata::{
    Grant, GrantSource, GroupCreation, GroupFilter, IdentityChange, KeyState, Metadata, Named, Page,
};

use crate::world::{NOW, World, change_identities, event, grant, member, named};

const BOB: &str = "user:bob@x.io";
const CAROL: &str = "user:carol@x.io";
const DEVS: &str = "team:devs";
const OPS: &str = "team:ops";

/// A living group with a living and a deleted secret, and a deleted group; nobody has anything on either.
struct Shelf {
    world: World,
    living: GroupCreation,
    dead: GroupCreation,
}

/// What a read gives: the role in it, `None` where it shows nothing.
type Shown = Vec<(&'static str, Option<GroupRole>)>;

const fn all<Id>() -> Page<Id> {
    Page { before: None, offset: 0, limit: 100 }
}

/// What each read gives to somebody with this role.
fn every(role: Option<GroupRole>) -> Shown {
    let reads = [
        "group",
        "group_sealed",
        "group_by_name",
        "group_ref_by_name",
        "group_page",
        "secret",
        "secret_by_name",
        "secret_page",
        "secret_page with values",
        "secret_page of the group",
        "secret_page of the group with values",
        "secret_to_reveal",
        "secret_to_reveal_by_name",
        "grants_on_for",
        "group_grants_of",
        "deleted_secrets",
        "deleted_groups",
    ];
    let least = |read| match read {
        "deleted_secrets" => Editor,
        "deleted_groups" => Admin,
        _ => Viewer,
    };
    reads.into_iter().map(|read| (read, role.filter(|role| *role >= least(read)))).collect()
}

impl Shelf {
    async fn new() -> Self {
        let world = World::started().await;
        world.know(&[BOB, CAROL, DEVS, OPS, "virtualaccount:bot"]).await;
        let (living, dead) = (world.create("living", &["A", "B"], &[]).await, world.create("dead", &["C"], &[]).await);
        world.delete(&dead).await;
        let mut change = world.change(living.id, "living", 1);
        let (id, deleted) = (living.secrets[1].id, Some((NOW, NOW.plus_days(30))));
        change.states = vec![KeyState { id, expected_version: 1, version: 1, key: "B".into(), deleted }];
        change.ended = vec![id];
        world.metadata.change_group(&change).await.unwrap();
        Self { world, living, dead }
    }

    /// Grants a role on both groups, on behalf of a binding of its own.
    async fn bind(&self, subject: &str, role: GroupRole, expires_at: Option<Timestamp>) {
        let binding = named(&format!("bind-{}", role.rank()));
        let grants = [self.living.id, self.dead.id].map(|group| Grant { expires_at, ..grant(group, subject, role) });
        let bind = |change: &mut IdentityChange| {
            change.add_named(Named::RoleBinding, &binding, None);
            change.grant(GrantSource::RoleBinding, &binding.id, &grants, &[]);
        };
        change_identities(&self.world.metadata, &event("BIND"), bind).await.unwrap();
    }

    async fn shown(&self, metadata: &Metadata, own: &str) -> Shown {
        let (looks, living) = (member(own), &self.living);
        let secret = living.secrets[0].id;
        let group = |state: Option<strongroom_metadata::GroupState>| state.and_then(|state| state.group.role);
        let (groups, total) = metadata.group_page(looks.clone(), GroupFilter::default(), all()).await.unwrap();
        assert_eq!(groups.len(), usize::try_from(total).unwrap());
        let mut shown = vec![
            ("group", group(metadata.group(living.id, &looks).await.unwrap())),
            ("group_sealed", group(metadata.group_sealed(living.id, &looks).await.unwrap())),
            ("group_by_name", group(metadata.group_by_name("living", &looks).await.unwrap())),
            (
                "group_ref_by_name",
                metadata.group_ref_by_name("living", &looks).await.unwrap().and_then(|group| group.role),
            ),
            ("group_page", groups.first().and_then(|state| state.group.role)),
            ("secret", metadata.secret(secret, &looks, 9).await.unwrap().and_then(|(secret, _)| secret.role)),
            (
                "secret_by_name",
                metadata.secret_by_name("living", "A", None, &looks).await.unwrap().and_then(|secret| secret.role),
            ),
        ];
        let pages = [
            ("secret_page", None, None),
            ("secret_page with values", None, Some(usize::MAX)),
            ("secret_page of the group", Some(living.id), None),
            ("secret_page of the group with values", Some(living.id), Some(usize::MAX)),
        ];
        for (read, of, sealed) in pages {
            let (secrets, total) = metadata.secret_page(looks.clone(), of, all(), sealed).await.unwrap();
            assert_eq!(secrets.len(), usize::try_from(total).unwrap(), "{read}");
            shown.push((read, secrets.first().and_then(|secret| secret.role)));
        }
        let reveals = [
            metadata.secret_to_reveal(secret, &looks, 9).await.unwrap(),
            metadata.secret_to_reveal_by_name("living", "A", None, &looks).await.unwrap(),
        ];
        let names = ["secret_to_reveal", "secret_to_reveal_by_name"];
        shown.extend(names.into_iter().zip(reveals.map(|found| found.and_then(|found| found.secret.role))));
        let on_group = metadata.grants_on_for(living.id, own).await.unwrap();
        shown.push(("grants_on_for", on_group.iter().map(|grant| grant.role).max()));
        let granted = metadata.group_grants_of(own).await.unwrap();
        shown.push(("group_grants_of", granted.iter().map(|(grant, ..)| grant.role).max()));
        let secrets = metadata.deleted_secrets(looks.clone(), 9).await.unwrap();
        shown.push(("deleted_secrets", secrets.first().and_then(|secret| secret.role)));
        let groups = metadata.deleted_groups(looks, 9).await.unwrap();
        shown.push(("deleted_groups", groups.first().and_then(|group| group.role)));
        shown
    }
}

#[tokio::test]
async fn a_membership_gives_and_takes_at_once() {
    let shelf = Shelf::new().await;
    let (world, metadata) = (&shelf.world, &shelf.world.metadata);
    shelf.bind(DEVS, Editor, None).await;
    shelf.bind(OPS, Admin, None).await;
    // Who says who is in a team isn't in it.
    let managers = |change: &mut IdentityChange| change.replace_team_people(DEVS, &[], &[BOB.into()]);
    change_identities(metadata, &event("X"), managers).await.unwrap();
    assert_eq!(shelf.shown(metadata, BOB).await, every(None));
    let steps: [(&str, &[&str], Option<GroupRole>); 8] = [
        (DEVS, &[CAROL], None),
        (DEVS, &[CAROL, BOB], Some(Editor)),
        (OPS, &[BOB], Some(Admin)),
        (DEVS, &[], Some(Admin)),
        (OPS, &[CAROL], None),
        (DEVS, &[BOB, "virtualaccount:bot"], Some(Editor)),
        // Teams are not in teams, whatever a row says: who is in devs has nothing of ops.
        (OPS, &[DEVS], Some(Editor)),
        (DEVS, &["virtualaccount:bot"], None),
    ];
    for (team, members, expected) in steps {
        world.in_team(team, members).await;
        // What is kept is kept from the third time on.
        for _ in 0..3 {
            assert_eq!(shelf.shown(metadata, BOB).await, every(expected), "{team} {members:?}");
        }
    }
    assert_eq!(shelf.shown(metadata, "virtualaccount:bot").await, every(Some(Editor)));
    // A team that goes takes with it what its members had.
    let devs = metadata.named_by_name(Named::Team, "devs").await.unwrap().unwrap();
    change_identities(metadata, &event("X"), |change| change.remove_named(Named::Team, &devs)).await.unwrap();
    assert_eq!(shelf.shown(metadata, "virtualaccount:bot").await, every(None));
    assert_eq!(world.behind().number("SELECT COUNT(*) FROM grants WHERE subject = 'team:devs'"), 0);
}

#[tokio::test]
async fn a_grant_that_has_ended_gives_nothing() {
    let shelf = Shelf::new().await;
    let (metadata, hand) = shelf.world.by_hand();
    shelf.world.in_team(DEVS, &[BOB]).await;
    let at = |seconds| NOW.plus_seconds(seconds);
    shelf.bind(BOB, Admin, Some(at(10))).await;
    shelf.bind(DEVS, Editor, Some(at(20))).await;
    shelf.bind("team:everyone", Reader, Some(at(30))).await;
    // To the microsecond: at its end it has ended.
    let steps = [
        (at(0), Some(Admin), Some(at(10))),
        (Timestamp::from_micros(at(10).micros() - 1), Some(Admin), Some(at(10))),
        (at(10), Some(Editor), Some(at(20))),
        (at(20), Some(Reader), Some(at(30))),
        (at(30), None, None),
    ];
    for (now, role, until) in steps {
        hand.set(now);
        for _ in 0..3 {
            assert_eq!(shelf.shown(&metadata, BOB).await, every(role), "{now:?}");
        }
        let secret = metadata.secret_by_name("living", "A", None, &member(BOB)).await.unwrap();
        assert_eq!(secret.and_then(|secret| secret.role_until), until, "{now:?}");
        let everyone = role.map(|_| Reader);
        assert_eq!(shelf.shown(&metadata, CAROL).await, every(everyone), "{now:?}");
    }
    hand.set(at(20));
    let ends: Vec<_> = metadata.grants_on(shelf.living.id).await.unwrap().iter().map(|row| row.expires_at).collect();
    assert_eq!(ends, [Some(at(30))], "who may do what is told without what has ended");
}

/// Nothing is written when a grant ends, so what is kept has to know of it.
#[tokio::test]
async fn what_is_kept_is_read_again_when_a_grant_ends() {
    let shelf = Shelf::new().await;
    let (metadata, hand) = shelf.world.by_hand();
    shelf.bind(BOB, Editor, Some(NOW.plus_seconds(10))).await;
    shelf.bind("team:everyone", Viewer, None).await;
    let secret = shelf.living.secrets[0].id;
    let roles = async || {
        let by_id = metadata.secret_to_reveal(secret, &member(BOB), 9).await.unwrap();
        let by_name = metadata.secret_to_reveal_by_name("living", "A", None, &member(BOB)).await.unwrap();
        [by_id, by_name].map(|found| found.and_then(|found| found.secret.role))
    };
    for _ in 0..3 {
        assert_eq!(roles().await, [Some(Editor); 2]);
    }
    // Behind the server's back, so that what is kept shows. PostgreSQL's replicas keep nothing of groups.
    shelf.world.behind().run("UPDATE grants SET role = 30 WHERE role = 20");
    let kept = if shelf.world.postgres.is_some() { Admin } else { Editor };
    assert_eq!(roles().await, [Some(kept); 2]);
    hand.set(NOW.plus_seconds(9));
    assert_eq!(roles().await, [Some(kept); 2]);
    hand.set(NOW.plus_seconds(10));
    assert_eq!(roles().await, [Some(Viewer); 2]);
    // From then on nothing ends, and it is kept for good.
    for _ in 0..3 {
        assert_eq!(roles().await, [Some(Viewer); 2]);
    }
    shelf.world.behind().run("UPDATE grants SET role = 15 WHERE role = 10");
    hand.set(NOW.plus_days(9_999));
    let kept = if shelf.world.postgres.is_some() { Reader } else { Viewer };
    assert_eq!(roles().await, [Some(kept); 2]);
}
