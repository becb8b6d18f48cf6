"""The authorization table: each verb with what it needs. Data for people and tests; the gate itself is in the verbs."""

from __future__ import annotations

from dataclasses import dataclass

from hawse.domain.grant import ROLES, Capability, Role
from hawse.services.gate import ADMIN_MAY


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be asked for. name: as REST's operation ids, with the mode where that matters. command: as it
    is typed. needs: the capability; None: everybody may try. note: what the table cannot say. only_admins: it is no
    session's, but the site's."""

    name: str
    command: str
    needs: Capability | None
    note: str = ""
    only_admins: bool = False
    also: Capability | None = None


C = Capability
VERBS = (
    Verb("list_sessions", "hawse ls", None, "shows one's own and what is shared with oneself"),
    Verb("list_sessions everyone", "hawse ls --everyone", None, only_admins=True),
    Verb("create_session", "hawse new", None, "members of the project; where jobs run as one user: only that user"),
    Verb("get_session", "hawse show", C.SESSION_SEE, "jobs and attachments that the grant concerns"),
    Verb("describe_session", "hawse describe", C.SESSION_DESCRIBE),
    Verb("describe_session lease", "", C.SESSION_EXTEND),
    Verb("extend_session", "hawse extend", C.SESSION_EXTEND),
    Verb("list_policies", "hawse policy show", C.SESSION_SEE),
    Verb("describe_session policies", "hawse policy set", C.SESSION_POLICY),
    Verb("end_session", "hawse end", C.SESSION_END),
    Verb("list_events", "hawse events", C.EVENT_READ),
    Verb("run_job", "hawse run", C.JOB_RUN, "runs as the session's owner"),
    Verb("list_jobs", "hawse show", C.SESSION_SEE, "jobs that the grant concerns"),
    Verb("get_job", "hawse wait", C.JOB_READ),
    Verb("read_log", "hawse logs", C.JOB_READ),
    Verb("attach read", "hawse logs -f", C.JOB_READ),
    Verb("attach watch", "hawse attach --watch", C.JOB_WATCH),
    Verb("attach control", "hawse attach", C.JOB_CONTROL),
    Verb("signal_job", "hawse signal", C.JOB_SIGNAL),
    Verb("stop_job", "", C.JOB_STOP),
    Verb(
        "attach control steal", "hawse attach --steal", C.ATTACHMENT_DETACH,
        "and job:control; under policy attach=steal that alone", also=C.JOB_CONTROL,
    ),
    Verb("take_control", "hawse take", C.JOB_CONTROL, "for one's own attachment"),
    Verb("list_attachments", "hawse who", C.SESSION_SEE, "of jobs that the grant concerns"),
    Verb("detach", "hawse detach", C.ATTACHMENT_DETACH, "one's own: always"),
    Verb("list_grants", "hawse share", C.SESSION_SEE, "without session:share: one's own"),
    Verb("share", "hawse share NAME USER", C.SESSION_SHARE, "nobody gives more than he has"),
    Verb("make_link", "hawse share NAME --link", C.SESSION_SHARE, "nobody gives more than he has"),
    Verb("unshare", "hawse unshare", C.SESSION_SHARE, "one's own: always; the owner can't be shut out"),
    Verb("add_channel", "hawse notify add", None, "one's own; it tells only what one may see when it tells"),
    Verb("list_channels", "hawse notify ls", None, "one's own"),
    Verb("get_channel", "hawse notify show", None, "one's own"),
    Verb("change_channel", "hawse notify set", None, "one's own"),
    Verb("remove_channel", "hawse notify rm", None, "one's own"),
    Verb("test_channel", "hawse notify test", None, "one's own"),
    Verb("list_notices", "hawse notify log", None, "one's own"),
    Verb("get_notice", "", None, "one's own"),
    Verb("send_notice_again", "hawse notify send-again", None, "one's own"),
    Verb("redeem_link", "hawse redeem", None, "who has the secret"),
    Verb("give_session", "hawse user give", None, only_admins=True),
    Verb("get_me", "hawse user show", None),
    Verb("list_users", "hawse user ls", None, only_admins=True),
    Verb("get_user", "hawse user show USER", None, "oneself: always", only_admins=True),
    Verb("add_user", "hawse user add", None, only_admins=True),
    Verb("change_user", "hawse user set", None, only_admins=True),
    Verb("disable_user", "hawse user disable", None, only_admins=True),
    Verb("enable_user", "hawse user enable", None, only_admins=True),
    Verb("remove_user", "hawse user rm", None, only_admins=True),
    Verb("list_tokens", "hawse token ls", None, "one's own; of others: only admins"),
    Verb("make_token", "hawse token new", None, "for oneself; for others: only admins"),
    Verb("renew_token", "hawse token renew", None, "one's own; of others: only admins"),
    Verb("revoke_token", "hawse token revoke", None, "one's own; of others: only admins"),
    Verb("list_projects", "hawse project ls", None, "one's own; admins see all"),
    Verb("get_project", "hawse project show", None, "members, and admins"),
    Verb("add_project", "hawse project add", None, only_admins=True),
    Verb("change_project", "hawse project set", None, only_admins=True),
    Verb("retire_project", "hawse project retire", None, only_admins=True),
    Verb("revive_project", "hawse project revive", None, only_admins=True),
    Verb("list_audit", "hawse audit", None, only_admins=True),
)
BY_NAME = {verb.name: verb for verb in VERBS}


def allowed(verb: Verb) -> tuple[Role, ...]:
    """The roles that may, from the least to the most."""
    if verb.only_admins:
        return ()
    if verb.needs is None:
        return tuple(Role)
    return tuple(role for role in Role if {verb.needs, verb.also or verb.needs} <= ROLES[role])


def admins_may(verb: Verb) -> bool:
    """May an admin of the site, who has no role in the session?"""
    return verb.needs is None or {verb.needs, verb.also or verb.needs} <= ADMIN_MAY
