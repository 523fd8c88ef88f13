"""Looks: what one replica lists of backups, and what its journal knows of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tasks.domain.listing import Listed, Listing
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import manifest_name
from tasks.domain.proofs import Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one replica says of backups. `trouble`: why nothing it does not list is surely absent.

    `listing` None: it does not answer.
    `known`: summaries of manifests by backup name, each with when the sidecar says that its
    companion was made: one that was made since is another one.
    """

    shard: str
    replica: str
    listing: Listing | None = None
    trouble: str = ""
    known: Mapping[str, tuple[int, ManifestSummary]] = field(default_factory=dict)
    proofs: tuple[Proof, ...] = ()

    @property
    def doubt(self) -> str:
        """Say why what is not seen here may be there all the same; empty where it may not."""
        if self.trouble:
            return f"{self.replica}: {self.trouble}"
        if self.listing is None or self.is_empty:
            return f"{self.replica} lists nothing remote, which proves nothing"
        return ""

    @property
    def is_empty(self) -> bool:
        """Tell whether it answers and lists nothing remote: its storage may be away, or unused."""
        return self.listing is not None and not self.trouble and not self.listing.remote_rows

    def confirmed_by(self, later: "Look") -> "Look":
        """Hold it against a later look: of two listings that differ, neither tells what is absent.

        What either of them shows is there.
        """
        if self.listing is None or later.listing is None:
            return later if self.listing is None else replace(self, trouble=later.trouble)
        differing = self.listing.remote_rows ^ later.listing.remote_rows
        if not differing:
            return later
        names = ", ".join(sorted({row.name for row in differing})[:3])
        both = Listing(tuple({*self.listing.rows, *later.listing.rows}))
        return replace(later, listing=both, trouble=f"two of its listings differ in {names}")

    def remote(self, name: str) -> Listed | None:
        return None if self.listing is None else self.listing.remote(name)

    def gap(self, name: str) -> str:
        """Say what a backup lacks here of itself, or of what it needs."""
        return "" if self.listing is None else self.listing.gap(name)

    def summary(self, name: str) -> ManifestSummary | None:
        """Give what is known of the very manifest that is listed here."""
        companion = self.remote(manifest_name(name))
        if companion is None or companion.broken or name not in self.known:
            return None
        made, summary = self.known[name]
        return summary if made == companion.created_at else None
