"""`delete` and the `clean` commands: what is removed, and what a chain forbids."""

from collections.abc import Sequence

from deployments.sandbox.double import files
from deployments.sandbox.double.commands import Command
from deployments.sandbox.double.errors import CommandFailed, ProcessEnds
from deployments.sandbox.double.local import Listed, clean_name
from deployments.sandbox.double.site import Site

_CHAIN = "deleting it breaks the incremental backups chain, delete the dependent backup(s) first"


def check_arguments(command: Command) -> None:
    if command.argument(0) not in {"local", "remote"}:
        raise ProcessEnds(f"Unknown sub-command '{command.argument(0)}'")
    if not command.argument(1):
        raise ProcessEnds("backup name must be defined")


async def delete(site: Site, command: Command) -> None:
    given = command.argument(1)
    with files.pid_file(given, "delete"):
        name, force = clean_name(given), "force" in command.switches
        await site.steps.before("delete.start")
        if command.argument(0) == "local":
            _delete_local(site, name, force=force)
        else:
            _delete_remote(site, name, force=force)


def _delete_local(site: Site, name: str, *, force: bool) -> None:
    listed = site.local.list()
    if not any(row.name == name for row in listed):
        raise CommandFailed(f"'{name}' is not found on local storage")
    dependent = _dependent(listed, name)
    if dependent and not force:
        raise CommandFailed(
            f"'{name}' is required by local backup(s) {dependent}, {_CHAIN} or use `--force`"
        )
    site.local.remove(name)


def _delete_remote(site: Site, name: str, *, force: bool) -> None:
    if not site.has_remote:
        raise CommandFailed('aborted: RemoteStorage set to "none"')
    site.bucket.check()
    dependent = _dependent(site.bucket.list(), name)
    if dependent and not force:
        raise CommandFailed(
            f"'{name}' is required by remote backup(s) {dependent}, {_CHAIN}, run `rebase` for"
            " them, set `general.rebase_during_delete: true` or use `--force`"
        )
    if not site.bucket.holds(name):
        raise CommandFailed(f"'{name}' is not found on remote storage")
    site.bucket.remove(name)


def _dependent(listed: Sequence[Listed], name: str) -> str:
    return ", ".join(sorted(row.name for row in listed if row.required == name))


def clean_shadow(site: Site) -> None:
    """Empty the shadow folders, also of what another command is working on."""
    site.local.clean_shadow()


def clean_local_broken(site: Site) -> None:
    for row in site.local.list():
        if row.broken:
            site.local.remove(row.name)


def clean_remote_broken(site: Site) -> None:
    for row in site.bucket.list():
        if row.broken:
            site.bucket.remove(row.name)
