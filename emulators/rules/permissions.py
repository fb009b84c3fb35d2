"""Permissions that were taken away through the control routes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from emulators.rules.errors import BigQueryError, Json, invalid

ALL, WRITE, CREATE_DATASETS = "all", "write", "create_datasets"


@dataclass(frozen=True)
class Denial:
    """What is denied ("all", "write" or "create_datasets") on a project, data set or table."""

    project: str
    dataset: str | None = None
    table: str | None = None
    deny: str = ALL


class Permissions:
    """The denials in force."""

    def __init__(self) -> None:
        self._denials: list[Denial] = []

    def add(self, body: Json) -> Denial:
        """Adds a denial from its JSON form."""
        unknown = body.keys() - {field.name for field in fields(Denial)}
        if unknown or body.get("deny", ALL) not in {ALL, WRITE, CREATE_DATASETS}:
            raise invalid(f"Not a denial: {body}")
        denial = Denial(**body)
        self._denials.append(denial)
        return denial

    def clear(self, project: str | None) -> None:
        """Lifts all denials, or a project's."""
        self._denials = [
            denial for denial in self._denials if project is not None and denial.project != project
        ]

    def as_json(self) -> list[Json]:
        """All denials."""
        return [asdict(denial) for denial in self._denials]

    def check_dataset_creation(self, project: str) -> None:
        """Whether data sets may be made.

        https://cloud.google.com/bigquery/docs/access-control (bigquery.datasets.create)
        """
        if any(d.project == project and d.deny == CREATE_DATASETS for d in self._denials):
            raise BigQueryError(
                "accessDenied",
                f"Access Denied: Project {project}: User does not have bigquery.datasets.create"
                f" permission in project {project}.",
            )

    def check(self, writing: bool, project: str, dataset: str, table: str | None = None) -> None:
        """Whether a data set (or a table in it) may be read, or written."""
        for denial in self._denials:
            if denial.project != project or denial.dataset not in {None, dataset}:
                continue
            if denial.table is not None and denial.table != table:
                continue
            if denial.deny == ALL or (denial.deny == WRITE and writing):
                what = (
                    f"Table {project}:{dataset}.{table}"
                    if table
                    else f"Dataset {project}:{dataset}"
                )
                verb = "updateData" if writing else "get"
                kind = "tables" if table else "datasets"
                raise BigQueryError(
                    "accessDenied",
                    f"Access Denied: {what}: Permission bigquery.{kind}.{verb} denied on"
                    f" {what.lower()} (or it may not exist).",
                )
