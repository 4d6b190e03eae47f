use super::*;

pub(in crate::operation) const LIST_PROVIDER_ACCOUNTS: OperationSpec = OperationSpec {
    id: "ProviderAccount.list",
    path: "/api/svc/v1/provider-accounts",
    tag: "Provider Integrations",
    summary: "List provider accounts",
    description: "With their integrations, without credentials.",
    parameters: &[LIMIT, OFFSET, TYPE, FQN, ID],
    response: schema::<wire::ListProviderAccountsResponse>,
    errors: &[BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_PROVIDER_INTEGRATIONS: OperationSpec = OperationSpec {
    id: "ProviderIntegration.getProviderIntegrations",
    path: "/api/svc/v1/provider-integrations",
    tag: "Provider Integrations",
    summary: "List provider integrations",
    description: "Without credentials. The id of one of type `secret-store` is what a new secret group needs.",
    parameters: &[LIMIT, OFFSET, TYPE, FQN, ID],
    response: schema::<wire::ListProviderIntegrationsResponse>,
    errors: &[BAD_INPUT],
    ..DEFAULTS
};

const NO_ACCOUNT: (u16, &str) = (404, "There is no such provider account.");

pub(in crate::operation) const APPLY_PROVIDER_ACCOUNT: OperationSpec = OperationSpec {
    id: "ProviderAccount.put",
    method: Method::Put,
    path: "/api/svc/v1/provider-accounts",
    tag: "Provider Integrations",
    summary: "Create or update a provider account by its manifest, with its integrations",
    description: "A new account for tenant admins, an existing one also for whoever has `provider-account-manager` on it. \
        Credentials are kept sealed and come back as `********`; sent back, that keeps them. One may be a reference, \
        `tfy-secret://…`, to a secret that the caller may read. The stores of integrations that are new or changed are \
        asked whether they can be used, but not in a dry run.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyManifestRequest>),
    response: schema::<wire::GetProviderAccountResponse>,
    errors: &[
        (403, "The caller doesn't manage the account, or may not read a secret that it refers to."),
        (404, "One of the authorized subjects does not exist."),
        BAD_INPUT,
        (424, "A store can't be used as it is described; `details` names the integration and what is missing."),
    ],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_PROVIDER_ACCOUNT: OperationSpec = OperationSpec {
    id: "ProviderAccount.delete",
    method: Method::Delete,
    path: "/api/svc/v1/provider-accounts/{id}",
    tag: "Provider Integrations",
    summary: "Delete a provider account with its integrations",
    description: "For tenant admins. Not while one of them keeps a secret group, be it in the trash.",
    audit: AuditMode::Change,
    errors: &[ADMINS_ONLY, NO_ACCOUNT, IN_USE],
    ..DEFAULTS
};

pub(in crate::operation) const TEST_PROVIDER_INTEGRATION: OperationSpec = OperationSpec {
    id: "ProviderIntegration.test",
    method: Method::Post,
    path: "/api/v1/provider-integrations/{id}/test",
    tag: "Provider Integrations",
    summary: "Ask an integration's store whether it can be used",
    description: "For whoever manages the account. Says what is missing where it can't; nothing is written there.",
    audit: AuditMode::Change,
    response: schema::<wire::TestProviderIntegrationResponse>,
    errors: &[
        (403, "The caller doesn't manage the integration's account."),
        (404, "There is no such provider integration."),
    ],
    ..DEFAULTS
};
