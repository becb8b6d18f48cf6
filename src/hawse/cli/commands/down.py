"""`hawse down`."""

from __future__ import annotations

import click

from hawse.cli.say import json_out, out
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.find import Endpoint


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Stop the coordinator. Jobs go on; the next command starts a coordinator that takes them over again.

    With HAWSE_SERVER=ssh://host: the one on that host.

    \b
    hawse down
    """
    from hawse.cli.progress import Progress
    from hawse.client.find import endpoint

    place = endpoint()
    if place.is_remote and not place.by_ssh:
        raise Invalid(
            f"{place.name} is a site's service, which others use too", next_step="on its machine: systemctl stop hawse"
        )
    with Progress("stopping the coordinator"):
        pid = _stopped_far(place) if place.is_remote else _stopped_here()
    if as_json:
        json_out({"stopped": pid})
    elif pid is None:
        out("no coordinator is running")
    else:
        out(f"the coordinator (process {pid}) has stopped; your jobs go on")
    return 0


def _stopped_here() -> int | None:
    from hawse.client.places import own_places
    from hawse.client.start import stop_coordinator

    return stop_coordinator(own_places())


def _stopped_far(place: Endpoint) -> int | None:
    import json

    from hawse.client._sync.way import answer_of
    from hawse.domain.errors import Broken

    try:
        return json.loads(answer_of(place, "stop"))["stopped"]  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError) as error:
        raise Broken(f"what {place.name} answers cannot be read") from error
