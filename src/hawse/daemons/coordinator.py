"""The coordinator: REST, store and reconcilers of one user on one machine. `python -m hawse.daemons.coordinator`.

The order of the start is what makes it safe: folders, claims, store, reconcilers, and only then the socket. A second
coordinator stops at the claims, before it has imported anything slow. Everything that lasts is in the store and in
the runners, so this process may be killed at any step.

Nothing in it polls: it sleeps until a request, a report, a stored event or the next deadline. uvicorn's own server
would wake ten times a second; `api/rest/listener.py` serves without it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from hawse.client.names import did_you_mean
from hawse.daemons.folders import claim_runtime, claim_state, keep_from_cleaners, prepare
from hawse.domain.errors import Invalid, Problem
from hawse.domain.places import Places, places

if TYPE_CHECKING:
    from hawse.daemons.site import SiteConfig


def main(words: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code (see domain/errors.py)."""
    try:
        options = _parser().parse_args(words)
        site = chosen_site(options)
        if options.check_config:
            return _told_config(site)
        if options.systemd_units is not None:
            return _written_units(site, options.systemd_units)
        where = chosen_places(options) if site is None else replaced(site.places, options)
        if options.check:
            return _check(where, options.store)
        prepare(where, uid=os.getuid())
        claims = (claim_runtime(where), claim_state(where), keep_from_cleaners(where.runtime))
        from hawse.daemons.serve import Settings, serve  # slow to import; not needed to be refused

        try:
            store = options.store if site is None else site.store
            return serve(Settings(where, store, options.foreground, options.background, site))
        finally:
            for claim in reversed(claims):
                claim.release()
    except Problem as problem:
        hint = f"\n       {problem.next_step}" if problem.next_step else ""
        print(f"hawse: {problem.detail}{hint}", file=sys.stderr)
        return problem.exit


def chosen_site(options: argparse.Namespace) -> SiteConfig | None:
    """The site's configuration, if one is named. Raises Invalid."""
    if options.config is None:
        for option, is_given in (("--check-config", options.check_config), ("--systemd-units", options.systemd_units)):
            if is_given:
                raise Invalid(f"{option} needs a configuration", next_step=f"hawse serve --config FILE {option}")
        return None
    for name in ("state_dir", "runtime_dir", "store"):
        if getattr(options, name) is not None:
            raise Invalid(f"--{name.replace('_', '-')} and --config say the same thing; the file has it")
    from hawse.daemons.site import read_site

    return read_site(options.config)


def _written_units(site: SiteConfig | None, folder: str) -> int:
    """Write systemd's files, and say where each belongs. 0."""
    assert site is not None
    from hawse.daemons.units import write_units

    program = os.path.join(os.path.dirname(sys.executable), "hawse")
    for path in write_units(site, folder, program=program, python=sys.executable):
        print(path)
    return 0


def replaced(where: Places, options: argparse.Namespace) -> Places:
    """A site's places, for this instance of it."""
    instance = options.instance or os.environ.get("HAWSE_INSTANCE", "")
    if not instance:
        return where
    return Places(state=where.state, runtime=where.runtime, config=where.config, instance=instance)


def _told_config(site: SiteConfig | None) -> int:
    """What was understood, as JSON; the store's address is not shown. 0."""
    assert site is not None
    from dataclasses import asdict

    told = asdict(site) | {"store": site.store.split(":")[0], "admins": sorted(site.admins)}
    if site.https is not None:
        from hawse.daemons.certificate import Certificate

        known = Certificate(site.https).known
        told["https"] |= {"names": known.names, "expires_at": known.expires_at}
    print(json.dumps(told, indent=2))
    return 0


def _check(where: Places, store: str | None) -> int:
    """For `hawse doctor`, which may not know stores: look at ours as it is, and print what it is as JSON. 0."""
    from hawse.daemons.serve import Settings, look, store_url

    kind, version = look(store_url(Settings(where, store)), where)
    print(json.dumps({"store": kind, "version": version}))
    return 0


def chosen_places(options: argparse.Namespace) -> Places:
    """The environment's places, with the options' instead. Raises Invalid."""
    env = dict(os.environ)
    for name, value in (("HAWSE_STATE_DIR", options.state_dir), ("HAWSE_RUNTIME_DIR", options.runtime_dir)):
        if value is not None:
            if not value:
                raise Invalid("an empty path is not possible")
            env[name] = os.path.abspath(value)
    if options.instance is not None:
        env["HAWSE_INSTANCE"] = options.instance
    return places(env, uid=os.getuid(), home=os.path.expanduser("~"))


# argparse's words and the command line's own (cli/usage.py). Source: argparse.py of Python 3.11 to 3.13
_WORDS = (
    (re.compile(r"argument (\S+): expected one argument"), "{} needs a value"),
    (re.compile(r"argument (\S+): ignored explicit argument .*"), "{} takes no value"),
    (re.compile(r"unrecognized arguments: (-\S+).*"), "there is no option {}"),
    (re.compile(r"unrecognized arguments: (\S+).*"), "{} is more than it takes"),
)


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong like every other error."""

    def error(self, message: str) -> NoReturn:
        """Raises Invalid."""
        known = self._option_string_actions
        for pattern, words in _WORDS:
            found = pattern.fullmatch(message)
            if found is not None:
                message = words.format(found[1]) + ("" if found[1] in known else did_you_mean(found[1], known))
                break
        raise Invalid(message, next_step="write: hawse serve [OPTIONS]; more: hawse serve --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="hawse serve", description="Run the coordinator of this user on this machine.")
    parser.add_argument(
        "--state-dir", metavar="DIR", help="what must last (default: HAWSE_STATE_DIR, ~/.local/state/hawse)"
    )
    parser.add_argument(
        "--runtime-dir", metavar="DIR", help="sockets and locks (default: HAWSE_RUNTIME_DIR, a folder in /tmp)"
    )
    parser.add_argument(
        "--store", metavar="URL", help="postgresql://... or sqlite (default: [store] url of config.toml, sqlite)"
    )
    parser.add_argument("--config", metavar="FILE", help="be a site's service: users, sockets and TLS as FILE says")
    parser.add_argument("--check-config", action="store_true", help="only read FILE, and say what is wrong with it")
    parser.add_argument("--systemd-units", metavar="DIR", help="only write systemd's units for FILE into DIR")
    parser.add_argument(
        "--instance", metavar="NAME", help="a further coordinator on the same state and PostgreSQL (HAWSE_INSTANCE)"
    )
    parser.add_argument("--foreground", action="store_true", help="say what happens on stderr, too")
    parser.add_argument("--check", action="store_true", help="only look at the store; nothing is started or changed")
    parser.add_argument("--background", action="store_true", help=argparse.SUPPRESS)  # see client/start.py
    return parser


if __name__ == "__main__":
    sys.exit(main())
