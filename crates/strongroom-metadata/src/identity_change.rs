//! Changing identities and policy: read, decide, write once, and again when anybody else changed any of it meanwhile.
//!
//! What such a change rests on is spread over many rows: that a team exists, that an admin is left, that a role is one of
//! its resource. So each is decided as of one change number, and its batch begins by moving that number on: of two that
//! were decided on the same state, one is decided again.

use strongroom_domain::subject::SubjectKind;
use strongroom_domain::{IntegrationId, Timestamp, TokenId, UserId, VirtualAccountId};

use crate::changes::{self, Grant, GrantSource};
use crate::identity::NewToken;
use crate::integrations::{AccountRow, IntegrationRow};
use crate::machines::{MachineRow, SyncState};
use crate::policies::{Named, NamedRow};
use crate::sql::{params, statements};
use crate::users::UserRow;
use crate::{AuditRow, Batch, CommitError, Guard, Lease, Metadata, ReadError, audit, integrations, replicas};

statements! {
    INSERT_SUBJECT = "INSERT INTO subjects (name, id) VALUES (?1, ?2)";
    DELETE_SUBJECT = "DELETE FROM subjects WHERE name = ?1";
    INSERT_USER =
        "INSERT INTO users (id, email, tenant_role, active, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_USER = "UPDATE users SET tenant_role = ?2, active = ?3, updated_at = ?4 WHERE id = ?1";
    DELETE_USER = "DELETE FROM users WHERE id = ?1";
    INSERT_INVITATION = "INSERT INTO invitations (hash, id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)";
    DELETE_INVITATION = "DELETE FROM invitations WHERE hash = ?1";
    DELETE_INVITATIONS_OF = "DELETE FROM invitations WHERE id = ?1";
    INSERT_MACHINE = "INSERT INTO virtual_accounts (id, kind, name, manifest, rotate_at, target_group, created_by, \
        created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    UPDATE_MACHINE = "UPDATE virtual_accounts SET manifest = ?2, rotate_at = ?3, synced_token = ?4, synced_at = ?5, \
        sync_error = ?6, target_group = ?7, updated_at = ?8 WHERE id = ?1";
    DELETE_MACHINE = "DELETE FROM virtual_accounts WHERE id = ?1";
    SET_ROTATION = "UPDATE virtual_accounts SET rotate_at = ?2 WHERE id = ?1";
    SET_SYNC = "UPDATE virtual_accounts SET synced_token = ?2, synced_at = ?3, sync_error = ?4 WHERE id = ?1";
    INSERT_TOKEN = "INSERT INTO tokens (hash, id, subject_type, subject_id, name, purpose, signing_key, created_by, \
        created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    REVOKE_TOKEN = "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    REVOKE_TOKENS =
        "UPDATE tokens SET revoked_at = ?3 WHERE subject_id = ?1 AND subject_type = ?2 AND revoked_at IS NULL";
    SHORTEN_TOKENS = "UPDATE tokens SET expires_at = ?2 WHERE subject_id = ?1 AND revoked_at IS NULL \
        AND (expires_at IS NULL OR expires_at > ?2)";
    SHORTEN_OLDER_TOKENS = "UPDATE tokens SET expires_at = ?3 WHERE subject_id = ?1 AND id < ?2 AND revoked_at IS NULL \
        AND (expires_at IS NULL OR expires_at > ?3)";
    // Those that ended with their machine's date (0: never) end with its new one. A JWT says itself when it ends.
    MOVE_TOKENS_END = "UPDATE tokens SET expires_at = ?3 WHERE subject_id = ?1 AND revoked_at IS NULL \
        AND signing_key IS NULL AND COALESCE(expires_at, 0) = ?2";
    INSERT_TEAM = "INSERT INTO teams (id, name, manifest, created_by, created_at, updated_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_TEAM = "UPDATE teams SET manifest = ?2, updated_at = ?3 WHERE id = ?1";
    DELETE_TEAM = "DELETE FROM teams WHERE id = ?1";
    INSERT_MEMBER = "INSERT INTO team_members (team, member) VALUES (?1, ?2)";
    DELETE_MEMBERS = "DELETE FROM team_members WHERE team = ?1";
    DELETE_MEMBER_EVERYWHERE = "DELETE FROM team_members WHERE member = ?1";
    INSERT_MANAGER = "INSERT INTO team_managers (team, member) VALUES (?1, ?2)";
    DELETE_MANAGERS = "DELETE FROM team_managers WHERE team = ?1";
    DELETE_MANAGER_EVERYWHERE = "DELETE FROM team_managers WHERE member = ?1";
    INSERT_ROLE = "INSERT INTO roles (id, name, resource_type, permissions, manifest, created_by, created_at, \
        updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    UPDATE_ROLE = "UPDATE roles SET permissions = ?2, manifest = ?3, updated_at = ?4 WHERE id = ?1";
    DELETE_ROLE = "DELETE FROM roles WHERE id = ?1";
    INSERT_BINDING = "INSERT INTO role_bindings (id, name, manifest, created_by, created_at, updated_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_BINDING = "UPDATE role_bindings SET manifest = ?2, updated_at = ?3 WHERE id = ?1";
    DELETE_BINDING = "DELETE FROM role_bindings WHERE id = ?1";
    INSERT_PROVIDER = "INSERT INTO identity_providers (id, name, manifest, created_by, created_at, updated_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_PROVIDER = "UPDATE identity_providers SET manifest = ?2, updated_at = ?3 WHERE id = ?1";
    DELETE_PROVIDER = "DELETE FROM identity_providers WHERE id = ?1";
    INSERT_MAPPING = "INSERT INTO identity_mappings (provider_id, value, subject) VALUES (?1, ?2, ?3)";
    DELETE_MAPPINGS_OF = "DELETE FROM identity_mappings WHERE subject = ?1";
    INSERT_ROLE_GRANT = "INSERT INTO role_grants (subject, resource_type, resource_id, role, source, source_id, \
        expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    DELETE_ROLE_GRANTS_OF_SOURCE = "DELETE FROM role_grants WHERE source_id = ?1";
    DELETE_ROLE_GRANTS_ON = "DELETE FROM role_grants WHERE resource_type = ?1 AND resource_id = ?2";
    DELETE_ROLE_GRANTS_OF_SUBJECT = "DELETE FROM role_grants WHERE subject = ?1";
    DELETE_GRANTS_OF_SOURCE = "DELETE FROM grants WHERE source_id = ?1 AND source_id <> ''";
    DELETE_GRANTS_OF_SUBJECT = "DELETE FROM grants WHERE subject = ?1";
    DELETE_EXPIRED_ROLE_GRANTS_OF = "DELETE FROM role_grants WHERE subject = ?1 AND expires_at <= ?2";
    DELETE_EXPIRED_GRANTS_OF = "DELETE FROM grants WHERE subject = ?1 AND expires_at <= ?2";
    UPDATE_ACCOUNT = "UPDATE provider_accounts SET manifest = ?2, updated_at = ?3, credentials = ?4, \
        credentials_kek = ?5 WHERE id = ?1";
    DELETE_ACCOUNT = "DELETE FROM provider_accounts WHERE id = ?1";
    UPDATE_INTEGRATION = "UPDATE provider_integrations SET manifest = ?2, updated_at = ?3 WHERE id = ?1";
    // Of a purged group nothing is kept anywhere; its revisions go on saying where it was. It stands with the oldest of the
    // others, as it has to stand with one.
    LEAVE_PURGED_GROUPS = "UPDATE secret_groups SET integration_id = \
        COALESCE((SELECT MIN(i.id) FROM provider_integrations i WHERE i.id <> ?1), ?1) \
        WHERE integration_id = ?1 AND data_key IS NULL";
    DELETE_INTEGRATION = "DELETE FROM provider_integrations WHERE id = ?1";
}

/// A role on something that is no secret group, to be granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleGrant {
    /// Whom.
    pub subject: String,
    /// `account`, `team`, `provider-account` or `provider-integration`.
    pub resource_type: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Id of the role.
    pub role: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A change of identities and policy, with the state that it was decided on.
#[derive(Debug)]
pub struct IdentityChange {
    batch: Batch,
    /// The change number of that state.
    pub(crate) as_of: i64,
}

impl Metadata {
    /// Begins a change: what is read from now on is what it is decided on.
    pub async fn begin_identity_change(&self) -> Result<IdentityChange, ReadError> {
        let as_of = self.change_number().await?;
        let mut batch = Batch::default();
        replicas::bump_from(&mut batch, as_of);
        Ok(IdentityChange { batch, as_of })
    }

    /// Writes a change with its event. Misses [`Guard::ChangeNumber`] when anything changed since it was begun: then it
    /// is to be decided again.
    pub async fn commit_identity_change(&self, change: IdentityChange, event: &AuditRow) -> Result<(), CommitError> {
        let mut batch = change.batch;
        audit::insert(&mut batch, event);
        self.commit(batch).await
    }
}

impl IdentityChange {
    /// Writes a further event with the change, beside the one that it is committed with.
    pub fn record(&mut self, event: &AuditRow) {
        audit::insert(&mut self.batch, event);
    }

    /// Adds a person, who is in `team:everyone` from now on.
    pub fn add_user(&mut self, user: &UserRow) {
        insert_user(&mut self.batch, user);
    }

    /// Writes a person's role and whether they are active.
    pub fn update_user(&mut self, user: &UserRow) {
        let params = params![user.id, &user.tenant_role, i64::from(user.active), user.updated_at];
        self.batch.one(Guard::UserState, &UPDATE_USER, params);
    }

    /// Removes a person with their memberships, tokens and invitations. Misses [`Guard::SubjectInUse`] while anything is
    /// granted to them.
    pub fn remove_user(&mut self, user: &UserRow, at: Timestamp) {
        self.end_ways_in(user.id, at);
        self.remove_subject(&format!("user:{}", user.email));
        self.batch.one(Guard::UserState, &DELETE_USER, params![user.id]);
    }

    /// Ends every token of a person, and their open invitation.
    pub fn end_ways_in(&mut self, user: UserId, at: Timestamp) {
        self.revoke_tokens(SubjectKind::User, &user.to_string(), at);
        self.batch.any(Guard::Fresh, &DELETE_INVITATIONS_OF, params![user]);
    }

    /// Takes away whatever is granted to somebody, by whichever manifest.
    pub fn take_grants_of(&mut self, subject: &str) {
        self.batch.any(Guard::Fresh, &DELETE_GRANTS_OF_SUBJECT, params![subject]);
        self.batch.any(Guard::Fresh, &DELETE_ROLE_GRANTS_OF_SUBJECT, params![subject]);
    }

    /// Clears away what was granted to somebody and has ended.
    pub fn take_expired_grants_of(&mut self, subject: &str, now: Timestamp) {
        self.batch.any(Guard::Fresh, &DELETE_EXPIRED_GRANTS_OF, params![subject, now]);
        self.batch.any(Guard::Fresh, &DELETE_EXPIRED_ROLE_GRANTS_OF, params![subject, now]);
    }

    /// Keeps the hash of an invitation's code; one that was there before for the same person ends.
    pub fn invite(&mut self, hash: &[u8; 32], user: UserId, at: Timestamp, until: Timestamp) {
        self.batch.any(Guard::Fresh, &DELETE_INVITATIONS_OF, params![user]);
        self.batch.one(Guard::Fresh, &INSERT_INVITATION, params![hash, user, at, until]);
    }

    /// Uses an invitation up.
    pub fn accept_invitation(&mut self, hash: &[u8; 32]) {
        self.batch.one(Guard::Invitation, &DELETE_INVITATION, params![hash]);
    }

    /// Adds a machine.
    pub fn add_machine(&mut self, machine: &MachineRow, subject: &str) {
        self.batch.one(Guard::SubjectName, &INSERT_SUBJECT, params![subject, machine.id]);
        let params = params![
            machine.id,
            machine.kind.id(),
            &machine.name,
            &machine.manifest,
            machine.rotate_at,
            machine.target_group,
            changes::actor_json(&machine.created_by),
            machine.created_at,
            machine.updated_at
        ];
        self.batch.one(Guard::SubjectName, &INSERT_MACHINE, params);
    }

    /// Writes a machine's manifest, when its token is due, where it goes, and how writing it out went.
    pub fn update_machine(&mut self, machine: &MachineRow) {
        let sync = &machine.sync;
        let params = params![
            machine.id,
            &machine.manifest,
            machine.rotate_at,
            sync.token.as_ref(),
            sync.at,
            sync.error.as_ref(),
            machine.target_group,
            machine.updated_at
        ];
        self.batch.one(Guard::MachineState, &UPDATE_MACHINE, params);
    }

    /// Notes how writing a machine's token into a secret group went.
    pub fn set_sync(&mut self, id: VirtualAccountId, sync: &SyncState) {
        let params = params![id, sync.token.as_ref(), sync.at, sync.error.as_ref()];
        self.batch.one(Guard::MachineState, &SET_SYNC, params);
    }

    /// Says when a machine's token is due.
    pub fn set_rotation(&mut self, id: VirtualAccountId, at: Option<Timestamp>) {
        self.batch.one(Guard::MachineState, &SET_ROTATION, params![id, at]);
    }

    /// Makes the change depend on a job's lease.
    pub fn under(&mut self, lease: &Lease) {
        lease.guard(&mut self.batch);
    }

    /// Removes a machine with everything that it was granted, its tokens and mappings.
    pub fn remove_machine(&mut self, id: VirtualAccountId, kind: SubjectKind, subject: &str, at: Timestamp) {
        self.revoke_tokens(kind, &id.to_string(), at);
        self.take_grants_of(subject);
        self.replace_mappings(subject, &[]);
        self.remove_subject(subject);
        self.batch.one(Guard::MachineState, &DELETE_MACHINE, params![id]);
    }

    /// Adds a token.
    pub fn add_token(&mut self, token: &NewToken) {
        insert_token(&mut self.batch, token);
    }

    /// Ends one token.
    pub fn revoke_token(&mut self, id: TokenId, at: Timestamp) {
        self.batch.one(Guard::Token, &REVOKE_TOKEN, params![id, at]);
    }

    /// Ends every token of a person or machine.
    pub fn revoke_tokens(&mut self, kind: SubjectKind, subject_id: &str, at: Timestamp) {
        self.batch.any(Guard::Token, &REVOKE_TOKENS, params![subject_id, kind.wire(), at]);
    }

    /// Lets no token of somebody live longer than until a time.
    pub fn shorten_tokens(&mut self, subject_id: &str, until: Timestamp) {
        self.batch.any(Guard::Token, &SHORTEN_TOKENS, params![subject_id, until]);
    }

    /// Lets no token of somebody that was made before `than` live longer than until a time.
    pub fn shorten_older_tokens(&mut self, subject_id: &str, than: TokenId, until: Timestamp) {
        self.batch.any(Guard::Token, &SHORTEN_OLDER_TOKENS, params![subject_id, than, until]);
    }

    /// Lets the opaque tokens that were to end at one time end at another.
    pub fn move_tokens_end(&mut self, subject_id: &str, from: Option<Timestamp>, to: Option<Timestamp>) {
        let from = from.map_or(0, Timestamp::micros);
        self.batch.any(Guard::Token, &MOVE_TOKENS_END, params![subject_id, from, to]);
    }

    /// Adds something that has a name and a manifest. A role's permissions are given with it.
    pub fn add_named(&mut self, what: Named, row: &NamedRow, role: Option<(&str, &str)>) {
        let actor = changes::actor_json(&row.created_by);
        let sql = match what {
            Named::Team => {
                let subject = params![format!("team:{}", row.name), &row.id];
                self.batch.one(Guard::SubjectName, &INSERT_SUBJECT, subject);
                &INSERT_TEAM
            }
            Named::RoleBinding => &INSERT_BINDING,
            Named::IdentityProvider => &INSERT_PROVIDER,
            Named::Role => {
                let (resource_type, permissions) = role.unwrap_or_default();
                let params = params![
                    &row.id,
                    &row.name,
                    resource_type,
                    permissions,
                    &row.manifest,
                    actor,
                    row.created_at,
                    row.updated_at
                ];
                self.batch.one(Guard::SubjectName, &INSERT_ROLE, params);
                return;
            }
        };
        let params = params![&row.id, &row.name, &row.manifest, actor, row.created_at, row.updated_at];
        self.batch.one(Guard::SubjectName, sql, params);
    }

    /// Writes the manifest of something that has a name. A role's permissions are given with it.
    pub fn update_named(&mut self, what: Named, row: &NamedRow, permissions: Option<&str>) {
        let sql = match what {
            Named::Team => &UPDATE_TEAM,
            Named::RoleBinding => &UPDATE_BINDING,
            Named::IdentityProvider => &UPDATE_PROVIDER,
            Named::Role => {
                let params = params![&row.id, permissions.unwrap_or("[]"), &row.manifest, row.updated_at];
                self.batch.one(Guard::NamedState, &UPDATE_ROLE, params);
                return;
            }
        };
        self.batch.one(Guard::NamedState, sql, params![&row.id, &row.manifest, row.updated_at]);
    }

    /// Removes something that has a name. A team goes with its members and what it was granted, a binding with its
    /// grants; a provider that machines are mapped to misses [`Guard::SubjectInUse`].
    pub fn remove_named(&mut self, what: Named, row: &NamedRow) {
        let sql = match what {
            Named::Team => {
                let subject = format!("team:{}", row.name);
                self.take_grants_of(&subject);
                self.batch.any(Guard::Fresh, &DELETE_ROLE_GRANTS_ON, params!["team", &row.id]);
                self.replace_team_people(&subject, &[], &[]);
                self.remove_subject(&subject);
                &DELETE_TEAM
            }
            Named::RoleBinding => {
                self.take_grants_from(&row.id);
                &DELETE_BINDING
            }
            Named::IdentityProvider => &DELETE_PROVIDER,
            Named::Role => &DELETE_ROLE,
        };
        self.batch.one(Guard::SubjectInUse, sql, params![&row.id]);
    }

    /// Says who is in a team and who manages it.
    pub fn replace_team_people(&mut self, team: &str, members: &[String], managers: &[String]) {
        self.batch.any(Guard::Fresh, &DELETE_MEMBERS, params![team]);
        self.batch.any(Guard::Fresh, &DELETE_MANAGERS, params![team]);
        for member in members {
            self.batch.one(Guard::SubjectName, &INSERT_MEMBER, params![team, member]);
        }
        for manager in managers {
            self.batch.one(Guard::SubjectName, &INSERT_MANAGER, params![team, manager]);
        }
    }

    /// Says which tokens of identity providers, as (provider, value), stand for a machine.
    pub fn replace_mappings(&mut self, subject: &str, mappings: &[(String, String)]) {
        self.batch.any(Guard::Fresh, &DELETE_MAPPINGS_OF, params![subject]);
        for (provider, value) in mappings {
            self.batch.one(Guard::Mapping, &INSERT_MAPPING, params![provider, value, subject]);
        }
    }

    /// Takes away what a binding or a virtual account's manifest granted.
    pub fn take_grants_from(&mut self, source_id: &str) {
        self.batch.any(Guard::Fresh, &DELETE_GRANTS_OF_SOURCE, params![source_id]);
        self.batch.any(Guard::Fresh, &DELETE_ROLE_GRANTS_OF_SOURCE, params![source_id]);
    }

    /// Grants roles on secret groups and on other things, on behalf of a binding or a virtual account's manifest.
    pub fn grant(&mut self, source: GrantSource, source_id: &str, groups: &[Grant], others: &[RoleGrant]) {
        changes::insert_grants(&mut self.batch, source, source_id, groups);
        insert_role_grants(&mut self.batch, source, source_id, others);
    }

    /// Adds a provider account.
    pub fn add_account(&mut self, account: &AccountRow) {
        integrations::insert_account(&mut self.batch, Guard::SubjectName, account);
    }

    /// Writes a provider account's manifest and what it hides.
    pub fn update_account(&mut self, account: &AccountRow) {
        let kept = account.credentials.as_ref();
        let (sealed, kek) = (kept.map(|kept| &kept.sealed), kept.map(|kept| i64::from(kept.kek)));
        let params = params![account.id, &account.manifest, account.updated_at, sealed, kek];
        self.batch.one(Guard::NamedState, &UPDATE_ACCOUNT, params);
    }

    /// Removes a provider account that has no integrations any more.
    pub fn remove_account(&mut self, account: &AccountRow) {
        self.batch.any(Guard::Fresh, &DELETE_ROLE_GRANTS_ON, params!["provider-account", account.id]);
        self.batch.one(Guard::SubjectInUse, &DELETE_ACCOUNT, params![account.id]);
    }

    /// Adds an integration to an account.
    pub fn add_integration(&mut self, integration: &IntegrationRow) {
        integrations::insert_integration(&mut self.batch, Guard::SubjectName, integration);
    }

    /// Writes an integration's manifest.
    pub fn update_integration(&mut self, integration: &IntegrationRow) {
        let params = params![integration.id, &integration.manifest, integration.updated_at];
        self.batch.one(Guard::NamedState, &UPDATE_INTEGRATION, params);
    }

    /// Writes an integration's manifest where it points to somewhere else from now on. Misses [`Guard::SubjectInUse`] while
    /// anything is kept where it pointed to: the row goes and comes again, as only its going takes the lock that a new
    /// group on it would wait for.
    pub fn move_integration(&mut self, integration: &IntegrationRow) {
        self.batch.any(Guard::Fresh, &LEAVE_PURGED_GROUPS, params![integration.id]);
        self.batch.one(Guard::SubjectInUse, &DELETE_INTEGRATION, params![integration.id]);
        integrations::insert_integration(&mut self.batch, Guard::SubjectName, integration);
    }

    /// Removes an integration. Misses [`Guard::SubjectInUse`] while it keeps a group, be it in the trash.
    pub fn remove_integration(&mut self, id: IntegrationId) {
        self.batch.any(Guard::Fresh, &LEAVE_PURGED_GROUPS, params![id]);
        self.batch.any(Guard::Fresh, &DELETE_ROLE_GRANTS_ON, params!["provider-integration", id]);
        self.batch.one(Guard::SubjectInUse, &DELETE_INTEGRATION, params![id]);
    }

    fn remove_subject(&mut self, subject: &str) {
        self.batch.any(Guard::Fresh, &DELETE_MEMBER_EVERYWHERE, params![subject]);
        self.batch.any(Guard::Fresh, &DELETE_MANAGER_EVERYWHERE, params![subject]);
        self.batch.one(Guard::SubjectInUse, &DELETE_SUBJECT, params![subject]);
    }
}

pub(crate) fn insert_user(batch: &mut Batch, user: &UserRow) {
    batch.one(
        Guard::UserEmail,
        &INSERT_USER,
        params![user.id, &user.email, &user.tenant_role, i64::from(user.active), user.created_at, user.updated_at],
    );
    let subject = format!("user:{}", user.email);
    batch.one(Guard::UserEmail, &INSERT_SUBJECT, params![&subject, user.id]);
    batch.one(Guard::UserEmail, &INSERT_MEMBER, params![strongroom_domain::subject::EVERYONE, subject]);
}

pub(crate) fn insert_role_grants(batch: &mut Batch, source: GrantSource, source_id: &str, grants: &[RoleGrant]) {
    for grant in grants {
        let params = params![
            &grant.subject,
            &grant.resource_type,
            &grant.resource_id,
            &grant.role,
            source.id(),
            source_id,
            grant.expires_at
        ];
        batch.one(Guard::SubjectName, &INSERT_ROLE_GRANT, params);
    }
}

pub(crate) fn insert_token(batch: &mut Batch, token: &NewToken) {
    batch.one(
        Guard::Token,
        &INSERT_TOKEN,
        params![
            &token.hash,
            token.id,
            token.subject_kind.wire(),
            &token.subject_id,
            &token.name,
            token.purpose.id(),
            token.signing_key,
            token.created_by.as_ref().map(changes::actor_json),
            token.created_at,
            token.expires_at
        ],
    );
}
