//! What holds for every manifest, tried on generated ones (`PROPTEST_CASES` says on how many).

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::names::{BindingName, Email, GroupName, MachineName, ProviderName, RoleName, SecretKey, TeamName};
use crate::rights::{TeamPermission, TenantPermission};
use crate::role::{AccountRole, GroupRole, IntegrationRole, NamedRole, TeamRole, TenantRole};
use crate::subject::SubjectName;
use crate::{Day, Timestamp};

/// JSON of any kind in which the fields that parsers know come up often.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::sample::select(vec![
            "user:a@b.c",
            "team:devs",
            "secret-group",
            "team",
            "account",
            "secret-group-admin",
            "team-manager",
            "abc",
            "2027-01-31",
            "tfy-secrets",
            "truefoundry-backed",
            "identity-provider-backed",
            "jwt",
            "team:read",
            "https://a.b/c",
            StoreManifest::EMBEDDED,
            StoreManifest::AWS_SECRETS_MANAGER,
            StoreManifest::VAULT,
            CREDENTIAL_MASK,
            "tfy-secret://acme:stores:token",
            "access-key-based",
            "token",
            "123456789012",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        let known = prop::sample::select(vec![
            "type",
            "name",
            "integration_fqn",
            "collaborators",
            "ownedBy",
            "permissions",
            "subject",
            "role_id",
            "resource_type",
            "resource_fqn",
            "resourceType",
            "resourceFqn",
            "role",
            "expires_at",
            "expiration_date",
            "auto_rotate",
            "auto_rotate_interval",
            "grace_period",
            "secret_store_config",
            "secret_group",
            "key",
            "secret_path",
            "tags",
            "identity_provider_mapping",
            "identity_provider",
            "value",
            "token_type",
            "displayName",
            "description",
            "managers",
            "members",
            "subjects",
            "identity",
            "integrations",
            "authorized_subjects",
            "issuer",
            "jwks_uri",
            "audiences",
            "subject_claim",
            "users",
            "claims",
            "account",
            "team",
            "auth_data",
            "token",
            "region",
            "tags",
            "vault_url",
            "kv_mount_path",
            "aws_account_id",
            "access_key_id",
            "secret_access_key",
        ]);
        let field = prop_oneof![4 => known.prop_map(str::to_owned), 1 => ".{0,4}"];
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((field, inner), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn email() -> impl Strategy<Value = Email> {
    "[a-zA-Z.é]{1,8}@[a-z.]{1,8}".prop_map(|text| Email::parse(&text).unwrap())
}

fn machine_name() -> impl Strategy<Value = MachineName> {
    "[a-z][a-z0-9-]{1,34}[a-z0-9]".prop_map(|text| MachineName::parse(&text).unwrap())
}

fn team_name() -> impl Strategy<Value = TeamName> {
    "[a-z0-9][a-z0-9-]{0,61}[a-z0-9]".prop_map(|text| TeamName::parse(&text).unwrap())
}

fn role_name() -> impl Strategy<Value = RoleName> {
    "x[a-z0-9-]{1,61}[a-z0-9]".prop_map(|text| RoleName::parse(&text).unwrap())
}

fn provider_name() -> impl Strategy<Value = ProviderName> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?".prop_map(|text| ProviderName::parse(&text).unwrap())
}

fn group_name() -> impl Strategy<Value = GroupName> {
    "[A-Za-z0-9][A-Za-z0-9._-]{0,126}".prop_map(|text| GroupName::parse(&text, NameRule::Loose).unwrap())
}

fn secret_key() -> impl Strategy<Value = SecretKey> {
    "[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}".prop_map(|text| SecretKey::parse(&text).unwrap())
}

fn subject() -> impl Strategy<Value = SubjectName> {
    prop_oneof![
        email().prop_map(|email| SubjectName::user(&email)),
        machine_name().prop_map(|name| SubjectName::virtual_account(&name)),
        team_name().prop_map(|name| SubjectName::team(&name)),
        machine_name().prop_map(|name| SubjectName::agent(&name)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,20}"
}

fn filled() -> impl Strategy<Value = String> {
    "[^\0]{1,20}"
}

fn expires_at() -> impl Strategy<Value = Option<Timestamp>> {
    of((0..253_402_300_799_999_i64).prop_map(|millis| Timestamp::from_micros(millis * 1_000)))
}

fn granted_role() -> impl Strategy<Value = GrantedRole> {
    use prop::sample::select;
    prop_oneof![
        select(GroupRole::ALL.to_vec()).prop_map(GrantedRole::Group),
        select(IntegrationRole::ALL.to_vec()).prop_map(GrantedRole::Integration),
        select(AccountRole::ALL.to_vec()).prop_map(GrantedRole::Account),
        // Who is in a team is said by its manifest, and by no grant.
        Just(GrantedRole::Team(NamedRole::BuiltIn(TeamRole::Manager))),
        select(TenantRole::ALL.to_vec()).prop_map(|role| GrantedRole::Tenant(NamedRole::BuiltIn(role))),
        role_name().prop_map(|name| GrantedRole::Team(NamedRole::Custom(name))),
        role_name().prop_map(|name| GrantedRole::Tenant(NamedRole::Custom(name))),
    ]
}

/// Names in a list come once.
fn distinct<T, K: Ord>(mut list: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|one| seen.insert(key(one)));
    list
}

fn permissions() -> impl Strategy<Value = Vec<Permission>> {
    let one = (filled(), granted_role(), expires_at()).prop_map(|(resource_fqn, role, expires_at)| Permission {
        resource_fqn,
        role,
        expires_at,
    });
    vec(one, 1..5).prop_map(|list| distinct(list, |one| one.resource_fqn.clone()))
}

fn day() -> impl Strategy<Value = Day> {
    (0..9_999, 1..=12, 1..=28)
        .prop_map(|(year, month, day)| Day::parse(&format!("{year:04}-{month:02}-{day:02}")).unwrap())
}

fn auto_rotate() -> impl Strategy<Value = AutoRotate> {
    (30..36_500_u32, 1..36_500_u32)
        .prop_map(|(interval_days, grace_period_days)| AutoRotate { interval_days, grace_period_days })
}

fn token_target() -> impl Strategy<Value = TokenTarget> {
    prop_oneof![
        (group_name(), secret_key()).prop_map(|(group, key)| TokenTarget::Group { group, key }),
        (filled(), filled()).prop_map(|(integration_fqn, path)| TokenTarget::Store { integration_fqn, path }),
    ]
}

fn mappings() -> impl Strategy<Value = Vec<IdentityMapping>> {
    let one =
        (provider_name(), filled()).prop_map(|(identity_provider, value)| IdentityMapping { identity_provider, value });
    vec(one, 1..4).prop_map(|list| distinct(list, |one| one.value.clone()))
}

fn owner() -> impl Strategy<Value = MachineOwner> {
    (of(text()), team_name()).prop_map(|(account, team)| MachineOwner { account, team })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![text().prop_map(Value::from), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from)]
}

fn tags() -> impl Strategy<Value = Tags> {
    prop::collection::btree_map(filled(), scalar(), 0..4)
}

fn owning_account() -> impl Strategy<Value = Option<Value>> {
    of(filled().prop_map(|account| json!({"account": account})))
}

fn secret_group() -> impl Strategy<Value = SecretGroupManifest> {
    let collaborator = (subject(), prop::sample::select(GroupRole::ALL.to_vec()), expires_at())
        .prop_map(|(subject, role, expires_at)| Collaborator { subject, role, expires_at });
    let collaborators = vec(collaborator, 0..5).prop_map(|list| distinct(list, |one| one.subject.clone()));
    (group_name(), text(), of(collaborators), owning_account()).prop_map(
        |(name, integration_fqn, collaborators, owned_by)| SecretGroupManifest {
            name,
            integration_fqn,
            collaborators,
            owned_by,
        },
    )
}

fn virtual_account() -> impl Strategy<Value = VirtualAccountManifest> {
    let token_type = prop::sample::select(vec![TokenType::Opaque, TokenType::Jwt]);
    let token = (of(day()), of(auto_rotate()), of(token_target()), of(token_type));
    (machine_name(), of(permissions()), token, of(owner()), of(tags()), of(mappings())).prop_map(
        |(name, permissions, token, owned_by, tags, identity_provider_mapping)| {
            let (expiration_date, auto_rotate, secret_store_config, token_type) = token;
            let told = token_type == Some(TokenType::Jwt) || secret_store_config.is_some();
            VirtualAccountManifest {
                name,
                permissions,
                expiration_date,
                auto_rotate: auto_rotate.filter(|_| told),
                secret_store_config,
                owned_by,
                tags,
                identity_provider_mapping,
                token_type,
            }
        },
    )
}

fn team() -> impl Strategy<Value = TeamManifest> {
    let emails = || vec(email(), 0..4).prop_map(|list| distinct(list, Clone::clone));
    let name = team_name().prop_filter("the built-in team", |name| !name.is_reserved());
    (name, of(text()), of(text()), of(emails()), emails(), owning_account(), of(tags())).prop_map(
        |(name, display_name, description, managers, members, owned_by, tags)| TeamManifest {
            name,
            display_name,
            description,
            managers,
            members,
            owned_by,
            tags,
        },
    )
}

fn role() -> impl Strategy<Value = RoleManifest> {
    use prop::sample::subsequence;
    let permissions = prop_oneof![
        subsequence(&TenantPermission::ALL, 1..=TenantPermission::ALL.len()).prop_map(RolePermissions::Tenant),
        subsequence(&TeamPermission::ALL, 1..=TeamPermission::ALL.len()).prop_map(RolePermissions::Team),
    ];
    (role_name(), text(), text(), permissions).prop_map(|(name, display_name, description, permissions)| RoleManifest {
        name,
        display_name,
        description,
        permissions,
    })
}

fn role_binding() -> impl Strategy<Value = RoleBindingManifest> {
    let name = "[a-z][a-z0-9-]{1,64}[a-z0-9]".prop_map(|text| BindingName::parse(&text).unwrap());
    let subjects = vec(subject(), 1..4).prop_map(|list| distinct(list, Clone::clone));
    (name, subjects, permissions(), any::<bool>()).prop_map(|(name, mut subjects, mut permissions, many)| {
        if many {
            subjects.truncate(1);
        } else {
            permissions.truncate(1);
        }
        RoleBindingManifest { name, subjects, permissions }
    })
}

fn agent_identity() -> impl Strategy<Value = AgentIdentityManifest> {
    let token = (of(day()), of(auto_rotate()), of(token_target())).prop_map(
        |(expiration_date, auto_rotate, secret_store_config)| AgentIdentity::Token {
            expiration_date,
            auto_rotate,
            secret_store_config,
        },
    );
    let identity = prop_oneof![token, mappings().prop_map(AgentIdentity::Mapped)];
    (machine_name(), identity, of(tags()), of(owner()))
        .prop_map(|(name, identity, tags, owned_by)| AgentIdentityManifest { name, identity, tags, owned_by })
}

/// Given ones are masked when they are written, so they don't read back.
fn credential() -> impl Strategy<Value = Credential> {
    prop_oneof![
        Just(Credential::Kept),
        (group_name(), secret_key())
            .prop_map(|(group, key)| Credential::Reference(format!("tfy-secret://acme:{group}:{key}"))),
    ]
}

fn public_half() -> impl Strategy<Value = Credential> {
    prop_oneof![
        "x[^\0]{0,20}".prop_map(Credential::Shown),
        credential().prop_filter("hidden", |one| one != &Credential::Kept)
    ]
}

fn aws_key() -> impl Strategy<Value = AwsAuth> {
    (public_half(), credential())
        .prop_map(|(access_key_id, secret_access_key)| AwsAuth::AccessKey { access_key_id, secret_access_key })
}

fn vault() -> impl Strategy<Value = StoreManifest> {
    let app_role = (public_half(), credential(), of(text()))
        .prop_map(|(role_id, secret_id, role_path)| VaultAuthManifest::AppRole { role_id, secret_id, role_path });
    let auth = prop_oneof![credential().prop_map(|token| VaultAuthManifest::Token { token }), app_role];
    (filled(), filled(), of(text()), of(text()), auth).prop_map(
        |(vault_url, kv_mount_path, root_path, namespace, auth_data)| {
            StoreManifest::Vault(VaultManifest { vault_url, kv_mount_path, root_path, namespace, auth_data })
        },
    )
}

fn aws_store() -> impl Strategy<Value = StoreManifest> {
    let role = (filled(), of(text()))
        .prop_map(|(assumed_role_arn, external_id)| AwsAuth::AssumedRole { assumed_role_arn, external_id });
    let tags = prop::collection::btree_map(filled(), text(), 0..4);
    (filled(), of(prop_oneof![aws_key(), role]), of(text()), of(tags)).prop_map(|(region, auth_data, kms_arn, tags)| {
        StoreManifest::AwsSecretsManager(AwsStoreManifest { region, auth_data, kms_arn, tags })
    })
}

fn provider_account() -> impl Strategy<Value = ProviderAccountManifest> {
    let aws_account = ("[0-9]{12}", aws_key()).prop_map(|(aws_account_id, auth_data)| {
        Provider::Aws(AwsAccount { aws_account_id, auth_data: Some(auth_data) })
    });
    prop_oneof![
        of_provider(Just(Provider::Truefoundry), Just(StoreManifest::Embedded)),
        of_provider(aws_account, aws_store()),
        of_provider(Just(Provider::Hashicorp), vault()),
    ]
}

fn of_provider(
    provider: impl Strategy<Value = Provider>,
    store: impl Strategy<Value = StoreManifest>,
) -> impl Strategy<Value = ProviderAccountManifest> {
    let subjects = vec(subject(), 0..4).prop_map(|list| distinct(list, Clone::clone));
    let integration = (provider_name(), store, of(subjects), of(1..=60_u32)).prop_map(
        |(name, store, authorized_subjects, serve_cached_minutes)| {
            let serve_cached_minutes = serve_cached_minutes.filter(|_| store != StoreManifest::Embedded);
            IntegrationManifest { name, store, authorized_subjects, serve_cached_minutes }
        },
    );
    let integrations = vec(integration, 0..4).prop_map(|list| distinct(list, |one| one.name.clone()));
    (provider, provider_name(), of(integrations), owning_account()).prop_map(
        |(provider, name, integrations, owned_by)| ProviderAccountManifest { provider, name, integrations, owned_by },
    )
}

fn identity_provider() -> impl Strategy<Value = IdentityProviderManifest> {
    let audiences = vec(filled(), 0..3).prop_map(|list| distinct(list, Clone::clone));
    let claims = prop::collection::btree_map(filled(), scalar(), 0..3).prop_map(Map::from_iter);
    let names = (of(filled()), of(filled()));
    (
        provider_name(),
        of(filled()),
        "https://[a-z]{1,9}(/[a-z]{0,9})?",
        of(audiences),
        names,
        of(any::<bool>()),
        of(claims),
    )
        .prop_map(|(name, issuer, jwks_uri, audiences, (subject_claim, email_claim), users, claims)| {
            let any_audience = audiences.as_ref().is_none_or(Vec::is_empty);
            IdentityProviderManifest {
                name,
                issuer: issuer.or_else(|| any_audience.then(|| "https://issuer".into())),
                jwks_uri,
                users: users.filter(|_| !any_audience),
                audiences,
                subject_claim,
                email_claim,
                claims,
            }
        })
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    prop_oneof![
        secret_group().prop_map(Manifest::SecretGroup),
        virtual_account().prop_map(|manifest| Manifest::VirtualAccount(Box::new(manifest))),
        team().prop_map(Manifest::Team),
        role().prop_map(Manifest::Role),
        role_binding().prop_map(Manifest::RoleBinding),
        agent_identity().prop_map(Manifest::AgentIdentity),
        provider_account().prop_map(Manifest::ProviderAccount),
        identity_provider().prop_map(Manifest::IdentityProvider),
    ]
}

proptest! {
    #[test]
    fn any_json_is_taken_or_refused_with_a_reason(mut value in any_json(), others in vec(any_json(), 0..3)) {
        let mut all = others;
        for kind in Manifest::TYPES {
            if let Some(fields) = value.as_object_mut() {
                fields.insert("type".into(), kind.into());
            }
            if let Err(faults) = Manifest::parse(&value, NameRule::Loose) {
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|fault| fault.path.starts_with("manifest") && !fault.message.is_empty()));
            }
            all.push(value.clone());
        }
        prop_assert_eq!(dependency_tree(&all).len(), all.len());
    }

    #[test]
    fn what_is_written_is_read(manifest in any_manifest()) {
        let written = manifest.to_json();
        let read = Manifest::parse(&written, NameRule::Loose);
        prop_assert_eq!(read.as_ref(), Ok(&manifest));
        // Also out of the database, where it is text; and in one order, so that equal manifests are equal texts.
        let stored = serde_json::from_str(&written.to_string()).unwrap();
        let read = Manifest::parse(&stored, NameRule::Loose).unwrap();
        prop_assert_eq!(read.to_json().to_string(), written.to_string());
    }

    /// One field spoilt: the manifest is refused, or reads as something that again is written and read.
    #[test]
    fn spoilt_manifests_are_refused_or_stable(manifest in any_manifest(), which in any::<prop::sample::Index>(), with in any_json()) {
        let mut written = manifest.to_json();
        let fields = written.as_object_mut().unwrap();
        let field = which.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
        fields.insert(field, with);
        match Manifest::parse(&written, NameRule::Loose) {
            Ok(read) => {
                let again = Manifest::parse(&read.to_json(), NameRule::Loose).map(|again| again.to_json());
                prop_assert_eq!(again, Ok(read.to_json()));
            }
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }

    #[test]
    fn subjects_read_back(subject in subject(), text in ".*") {
        prop_assert_eq!(SubjectName::parse(subject.as_str()), Ok(subject.clone()));
        prop_assert_eq!(SubjectName::of(subject.kind(), subject.name()).ok(), Some(subject));
        if let Ok(read) = SubjectName::parse(&text) {
            prop_assert_eq!(SubjectName::parse(read.as_str()), Ok(read.clone()));
        }
    }

    #[test]
    fn days_and_times_read_back(day in day(), text in "\\PC{0,30}") {
        prop_assert_eq!(Day::parse(&day.to_string()), Some(day));
        let _ = (Day::parse(&text), Timestamp::parse(&text));
    }
}
