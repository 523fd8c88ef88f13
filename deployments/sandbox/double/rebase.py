"""`rebase`: copies required parts into a remote backup, which then needs no other."""

import asyncio
from dataclasses import replace

from deployments.sandbox.double import files
from deployments.sandbox.double.bucket import Bucket
from deployments.sandbox.double.chain import source_of
from deployments.sandbox.double.commands import Command
from deployments.sandbox.double.errors import CommandFailed, ProcessEnds
from deployments.sandbox.double.local import clean_name
from deployments.sandbox.double.metadata import BACKUP_FILE, Part, TableMetadata
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.transfer import copy_archive


async def rebase(site: Site, command: Command) -> None:
    if not command.name:
        raise ProcessEnds("backup name must be defined")
    name = clean_name(command.name)
    with files.pid_file(name, "rebase"):
        if not site.has_remote:
            raise CommandFailed("rebase does not support `remote_storage: none`")
        metadata = site.bucket.read(name)
        if not metadata.required:
            raise CommandFailed(
                f"backup {name} doesn't contain `required_backup`, nothing to rebase"
            )
        for table_name in metadata.tables:
            table = site.bucket.read_table(name, table_name)
            whole = await _with_all_parts(site.bucket, name, metadata.required, table)
            site.bucket.write(name, table_name.file, whole.to_bytes())
        await site.steps.before("rebase.metadata")
        site.bucket.write(name, BACKUP_FILE, replace(metadata, required="").to_bytes())


async def _with_all_parts(
    bucket: Bucket, name: str, base: str, table: TableMetadata
) -> TableMetadata:
    parts = dict(table.parts)
    for disk, part in table.each_part:
        if part.required:
            source = source_of(bucket, base, table.name, part.name)
            target = bucket.part(name, table.name, disk, part.name)
            await asyncio.to_thread(copy_archive, source, target, bucket.drafts)
            own = Part(name=part.name, size=part.size)
            parts[disk] = tuple(own if one.name == part.name else one for one in parts[disk])
    return table.with_parts(parts)
