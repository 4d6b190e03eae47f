use axum::response::Response;
use strongroom_api::wire;
use strongroom_metadata::NamedRow;

use crate::app::{App, AppError, ColumnFilter, InlineRole, RolesOf, TeamView};
use crate::http::built_in_roles::built_in_roles;
use crate::http::call::{Call, ok};
use crate::http::view;

pub(in crate::http) async fn list_teams(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let managed = match query.text("role").as_deref() {
        None => false,
        Some("manager") => true,
        Some(_) => return Err(AppError::invalid("query.role", "must be `manager`, or left out")),
    };
    let with_members = query.text("includeMembership").is_none() || query.flag("includeMembership")?;
    let (teams, total) = call.context.list_teams(managed, with_members, offset, limit).await?;
    let app = call.context.app();
    let data = teams.into_iter().map(|team| view_team(app, team)).collect::<Result<_, _>>()?;
    ok(&wire::ListTeamsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn apply_team(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyManifestRequest = call.json()?;
    let applied = call.context.apply_team(&request.manifest, request.dry_run.unwrap_or(false)).await?;
    ok(&wire::GetTeamResponse { data: view::team(call.context.app(), &applied.row)? })
}

pub(in crate::http) async fn get_team(call: Call) -> Result<Response, AppError> {
    let team = call.context.get_team(call.segment()).await?;
    ok(&wire::GetTeamResponse { data: view_team(call.context.app(), team)? })
}

pub(in crate::http) async fn delete_team(call: Call) -> Result<Response, AppError> {
    call.context.delete_team(call.segment()).await?;
    ok(&wire::Empty {})
}

pub(in crate::http) async fn list_team_members(call: Call) -> Result<Response, AppError> {
    list_people(call, false).await
}

pub(in crate::http) async fn list_team_managers(call: Call) -> Result<Response, AppError> {
    list_people(call, true).await
}

async fn list_people(call: Call, managers: bool) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let filter = query.text("filter").map(|text| ColumnFilter::parse(&text, &["email", "userId"])).transpose()?;
    let people = call.context.team_people(call.segment(), managers, filter.as_ref(), offset, limit).await;
    let (people, total) = people?;
    let data = people
        .into_iter()
        .map(|member| wire::TeamSubject {
            subject_id: member.id,
            subject_slug: member.name.split_once(':').map_or_else(String::new, |(_, slug)| slug.to_owned()),
            subject_type: wire::SubjectType::User,
        })
        .collect();
    ok(&wire::ListTeamSubjectsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn list_team_permissions(call: Call) -> Result<Response, AppError> {
    let roles = call.context.roles_of_team(call.segment()).await?;
    ok(&wire::GetTeamPermissionsResponse { data: roles.into_iter().map(view::permission).collect() })
}

pub(in crate::http) async fn list_roles(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let built_in = built_in_roles(call.context.app())?;
    // The built-in ones come first.
    let count = i64::try_from(built_in.len()).unwrap_or(i64::MAX);
    let mut data: Vec<_> = built_in
        .into_iter()
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(0))
        .collect();
    let taken = i64::try_from(data.len()).unwrap_or(0);
    let (rows, own) = call.context.list_roles((offset - count).max(0), limit - taken).await?;
    let app = call.context.app();
    for row in &rows {
        data.push(view::role(app, row)?);
    }
    ok(&wire::ListRolesResponse { data, pagination: view::pagination(count + own, offset, limit) })
}

pub(in crate::http) async fn list_role_bindings(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let search = query.text("filter").unwrap_or_default();
    let (rows, total) = call.context.list_role_bindings(&search, offset, limit).await?;
    let data = rows.iter().map(|row| view::role_binding(call.context.app(), row)).collect::<Result<_, _>>()?;
    ok(&wire::ListRoleBindingsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn apply_role_binding(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyManifestRequest = call.json()?;
    let applied = call.context.apply_role_binding(&request.manifest, request.dry_run.unwrap_or(false)).await?;
    binding(&call, &applied.row)
}

pub(in crate::http) async fn create_inline_role_bindings(call: Call) -> Result<Response, AppError> {
    let request: wire::CreateInlineRoleBindingsRequest = call.json()?;
    let role = |item: wire::InlineRoleBinding| InlineRole {
        resource_type: item.resource_type,
        resource_fqn: item.resource_fqn,
        subject: item.subject_fqn,
        role: item.role,
    };
    let roles: Vec<_> = request.role_bindings.into_iter().map(role).collect();
    let rows = call.context.create_inline_bindings(&roles).await?;
    let data = rows.iter().map(|row| view::role_binding(call.context.app(), row)).collect::<Result<_, _>>()?;
    ok(&wire::CreateInlineRoleBindingsResponse { data })
}

pub(in crate::http) async fn generate_role_binding_manifests(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let fields = ["resourceType", "resourceId", "subjectType", "subjectId"].map(|name| query.text(name));
    let of = match fields {
        [Some(kind), Some(id), None, None] => RolesOf::Resource { kind, id },
        [None, None, Some(kind), Some(id)] => {
            RolesOf::Subject { kind, id, only_in_tenant: query.flag("includeOnlyTenantRoles")? }
        }
        _ => {
            let message = "`resourceType` and `resourceId` are required, or `subjectType` and `subjectId`";
            return Err(AppError::invalid("query", message));
        }
    };
    let data = call.context.binding_manifests(of).await?;
    ok(&wire::GenerateRoleBindingManifestsResponse { data })
}

pub(in crate::http) async fn role_binding_exists(call: Call) -> Result<Response, AppError> {
    let exists = call.context.role_binding_exists(&call.query().required("name")?).await?;
    ok(&wire::ExistsResponse { exists })
}

pub(in crate::http) async fn get_role_binding(call: Call) -> Result<Response, AppError> {
    let row = call.context.get_role_binding(call.segment()).await?;
    binding(&call, &row)
}

pub(in crate::http) async fn delete_role_binding(call: Call) -> Result<Response, AppError> {
    call.context.delete_role_binding(call.segment()).await?;
    ok(&wire::Empty {})
}

fn binding(call: &Call, row: &NamedRow) -> Result<Response, AppError> {
    ok(&wire::GetRoleBindingResponse { data: view::role_binding(call.context.app(), row)? })
}

pub(in crate::http) async fn list_identity_providers(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let (rows, total) = call.context.list_identity_providers(offset, limit).await?;
    let data = rows.iter().map(|row| view::identity_provider(call.context.app(), row)).collect::<Result<_, _>>()?;
    ok(&wire::ListIdentityProvidersResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn apply_identity_provider(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyManifestRequest = call.json()?;
    let applied = call.context.apply_identity_provider(&request.manifest, request.dry_run.unwrap_or(false)).await?;
    ok(&wire::GetIdentityProviderResponse { data: view::identity_provider(call.context.app(), &applied.row)? })
}

pub(in crate::http) async fn delete_identity_provider(call: Call) -> Result<Response, AppError> {
    call.context.delete_identity_provider(call.segment()).await?;
    ok(&wire::Empty {})
}

fn view_team(app: &App, team: TeamView) -> Result<wire::Team, AppError> {
    Ok(wire::Team {
        members: team.names,
        total_member_count: team.members,
        total_manager_count: team.managers,
        ..view::team(app, &team.row)?
    })
}
