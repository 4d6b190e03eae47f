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
