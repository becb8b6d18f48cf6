"""What a site has of its own, as columns: users, tokens, projects, the audit log."""

from __future__ import annotations

from hawse.adapters.store.fields import from_json, to_json
from hawse.adapters.store.rows import Columns, Parameters
from hawse.domain import project as projects
from hawse.domain import token as tokens
from hawse.domain import user as users
from hawse.domain.audit import Entry
from hawse.domain.ids import TokenId
from hawse.domain.project import Project
from hawse.domain.token import Token
from hawse.domain.user import User
from hawse.ports.store import SiteRow


def noun_of(row: SiteRow) -> str:
    """As statements and the audit log call it."""
    return type(row).__name__.lower()


def key_of(row: SiteRow) -> str:
    """What finds it."""
    return row.id if isinstance(row, Token) else row.name


def parameters_of(row: SiteRow) -> Parameters:
    """By the columns' names."""
    if isinstance(row, User):
        return {
            "name": row.name, "state": row.state.value, "created_at": row.created_at, "created_by": row.created_by,
            "uids": to_json(row.uids), "groups": to_json(row.groups), "project": row.project, "is_admin": row.is_admin,
            "about": row.about, "version": row.version,
        }  # fmt: skip
    if isinstance(row, Token):
        return {
            "id": row.id, "user": row.user, "name": row.name, "state": row.state.value, "created_at": row.created_at,
            "created_by": row.created_by, "expires_at": row.expires_at, "project": row.project,
            "read_only": row.read_only, "used_at": row.used_at, "version": row.version,
        }  # fmt: skip
    return {
        "name": row.name, "state": row.state.value, "created_at": row.created_at, "created_by": row.created_by,
        "sessions_max": row.sessions_max, "jobs_max": row.jobs_max, "lease_s": row.lease_s,
        "lease_s_max": row.lease_s_max, "policies": to_json(row.policies), "members": to_json(row.members),
        "about": row.about, "version": row.version,
    }  # fmt: skip


def user_from(row: Columns) -> User:
    name, state, created_at, created_by, uids, groups, project, is_admin, about, version = row
    return User(
        name, users.S(state), created_at, created_by, tuple(from_json(uids)), tuple(from_json(groups)), project,
        bool(is_admin), about, version,
    )  # fmt: skip


def token_from(row: Columns) -> Token:
    id, user, name, state, created_at, created_by, expires_at, project, read_only, used_at, version = row
    return Token(
        TokenId(id), user, name, tokens.S(state), created_at, created_by, expires_at, project, bool(read_only), used_at,
        version,
    )  # fmt: skip


def project_from(row: Columns) -> Project:
    (name, state, created_at, created_by, sessions_max, jobs_max, lease_s, lease_s_max, policies, members, about,
     version) = row  # fmt: skip
    return Project(
        name, projects.S(state), created_at, created_by, sessions_max, jobs_max, lease_s, lease_s_max,
        from_json(policies), tuple(from_json(members)), about, version,
    )  # fmt: skip


def entry_from(row: Columns) -> Entry:
    seq, time, kind, noun, object, by, where, request, detail = row
    return Entry(seq, time, kind, noun, object, by, where, request, from_json(detail))
