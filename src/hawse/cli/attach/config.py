"""The detach key that the user wants: HAWSE_DETACH_KEY, else [attach] detach_key of config.toml, else Ctrl-\\."""

from __future__ import annotations

import os

from hawse.cli.attach.keys import KEY_DEFAULT, Keys, parse_key
from hawse.client.places import own_places
from hawse.domain.errors import Invalid


def detach_keys() -> Keys:
    """Raises Invalid for a key or a file that cannot be understood."""
    chosen = os.environ.get("HAWSE_DETACH_KEY")
    if not chosen:
        path = own_places().config_file
        try:
            with open(path, "rb") as file:
                import tomllib

                table = tomllib.load(file).get("attach", {})
        except FileNotFoundError:
            return Keys(KEY_DEFAULT)
        except (OSError, ValueError) as error:
            raise Invalid(f"{path} cannot be read: {error}") from error
        chosen = table.get("detach_key") if isinstance(table, dict) else None
        if chosen is None:
            return Keys(KEY_DEFAULT)
        if not isinstance(chosen, str):
            raise Invalid(f"{path}: [attach] detach_key must be a string such as 'C-a'")
    return Keys(parse_key(chosen))
