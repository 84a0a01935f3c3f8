"""Certificates of a campaign's directory, proved again, and compared with the rows they stand for.

A directory is not trusted: whoever can write to it can change ledger and files together. What
counts is what the checker accepts now, about the model's bytes, the instance's hash, and the
question that the campaign asked: a true statement about something else proves nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

from protoproof.campaign.record import Row
from protoproof.campaign.result import Campaign
from protoproof.campaign.store import CERTIFICATES, REGIONS
from protoproof.errors import CertificateError
from protoproof.kernel import CheckReport, ModelFile, check, read_file


@dataclass(frozen=True)
class Rechecked:
    """A certificate's bytes and what the checker said; ``complaint`` is empty where all is well."""

    content: bytes | None
    report: CheckReport | None
    complaint: str

    @property
    def accepted(self) -> bool:
        """Whether the certificate proves what its row tells of."""
        return not self.complaint


def explanation(campaign: Campaign, row: Row, model: ModelFile, declared: bool) -> Rechecked:
    """The certificate of a row's explanation; ``declared``: see :func:`protoproof.kernel.check`."""
    name = f"{CERTIFICATES}/{row.key}.cert.json"
    found = _read(campaign, name, row, row.record.predicted, model, declared)
    if found.report is None or not found.accepted:
        return found
    about, asked = dict(found.report.subject), campaign.about["domain"]
    facts = about["facts"].partition(",")[0]
    if facts != str(row.record.size) or about["vocabulary"] != row.record.vocabulary:
        return _not("is about another explanation than recorded", found)
    # a smaller domain would make a weaker claim
    if about.get("region", about["domain"].partition(",")[0]) != asked:
        return _not(f"is not about the domain {asked}", found)
    return found


def region(
    campaign: Campaign, name: str, row: Row, model: ModelFile, declared: bool
) -> Rechecked | None:
    """The certificate of one region around a row's instance; None where nothing was proved."""
    record = campaign.regions[name][row.key]
    if record.state != "proved":
        return None
    path = f"{REGIONS}/{record.key}.cert.json"
    found = _read(campaign, path, row, record.predicted, model, declared)
    if found.report is None or not found.accepted:
        return found
    about = dict(found.report.subject)
    if "robust" not in found.report.claims or about["region"] != campaign.about["regions"][name]:
        return _not(f"is not about the region {name}", found)
    return found


def _read(
    campaign: Campaign,
    name: str,
    row: Row,
    predicted: int | None,
    model: ModelFile,
    declared: bool,
) -> Rechecked:
    try:
        content = read_file(campaign.directory / name)
    except CertificateError as error:
        return Rechecked(None, None, str(error))
    report = check(content, model, row.instance, allow_declared=declared)
    found = Rechecked(content, report, "")
    if not report.accepted:
        why = next((f"{o.name}: {o.detail}" for o in report.failures), "nothing was examined")
        return _not(f"is {report.status}: {why}", found)
    if dict(report.subject)["predicted"] != str(predicted):
        return _not("is about another class than recorded", found)
    return found


def _not(complaint: str, found: Rechecked) -> Rechecked:
    return Rechecked(found.content, found.report, f"certificate {complaint}")
