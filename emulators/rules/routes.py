"""The REST routes of data sets, tables and rows.

https://cloud.google.com/bigquery/docs/reference/rest
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bqemulator.storage.arrow_bridge import arrow_table_to_bq_rows
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.rules import catalogue, partitions
from emulators.rules.errors import BigQueryError, Json, invalid
from emulators.rules.queries import create_view
from emulators.rules.schemas import check_change
from emulators.rules.state import State, TableRef

BASE = "/bigquery/v2/projects/{project}"
Handler = Callable[[Request], Awaitable[Response]]


class Resources:
    """The handlers; each takes a request apart, asks the catalogue and puts an answer together."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """All of them."""
        datasets, dataset = f"{BASE}/datasets", f"{BASE}/datasets/{{dataset}}"
        tables, table = f"{dataset}/tables", f"{dataset}/tables/{{table}}"
        return [
            Route(datasets, self.list_datasets, methods=["GET"]),
            Route(datasets, self.insert_dataset, methods=["POST"]),
            Route(dataset, self.get_dataset, methods=["GET"]),
            Route(dataset, self.update_dataset, methods=["PATCH", "PUT"]),
            Route(dataset, self.delete_dataset, methods=["DELETE"]),
            Route(tables, self.list_tables, methods=["GET"]),
            Route(tables, self.insert_table, methods=["POST"]),
            Route(table, self.get_table, methods=["GET"]),
            Route(table, self.update_table, methods=["PATCH", "PUT"]),
            Route(table, self.delete_table, methods=["DELETE"]),
            Route(f"{table}/data", self.list_rows, methods=["GET"]),
        ]

    async def list_datasets(self, request: Request) -> Response:
        """datasets.list."""
        project = request.path_params["project"]
        found = [there for (owner, _), there in self._state.datasets.items() if owner == project]
        return JSONResponse({"kind": "bigquery#datasetList", "datasets": found})

    async def insert_dataset(self, request: Request) -> Response:
        """datasets.insert."""
        project = request.path_params["project"]
        self._state.permissions.check_dataset_creation(project)
        return JSONResponse(catalogue.create_dataset(self._state, project, await request.json()))

    async def get_dataset(self, request: Request) -> Response:
        """datasets.get."""
        project, dataset = self._dataset(request, writing=False)
        return JSONResponse(self._state.dataset(project, dataset))

    async def update_dataset(self, request: Request) -> Response:
        """datasets.patch and datasets.update; the location stays."""
        project, dataset = self._dataset(request, writing=True)
        resource = self._state.dataset(project, dataset)
        check_etag(request, resource)
        body = await request.json()
        if body.get("location", resource["location"]) != resource["location"]:
            raise invalid(f"Cannot change the location of dataset {project}:{dataset}.")
        catalogue.update(resource, body, catalogue.DATASET_FIELDS, request.method == "PUT")
        catalogue.touch(self._state, resource)
        return JSONResponse(resource)

    async def delete_dataset(self, request: Request) -> Response:
        """datasets.delete."""
        project, dataset = self._dataset(request, writing=True)
        contents = request.query_params.get("deleteContents", "false").lower() == "true"
        catalogue.drop_dataset(self._state, project, dataset, contents)
        return Response(status_code=204)

    async def list_tables(self, request: Request) -> Response:
        """tables.list."""
        project, dataset = self._dataset(request, writing=False)
        self._state.dataset(project, dataset)
        refs = catalogue.tables_of(self._state, project, dataset)
        tables = [
            {key: value for key, value in self._state.tables[ref].items() if key != "schema"}
            for ref in refs
        ]
        body = {"kind": "bigquery#tableList", "tables": tables, "totalItems": len(tables)}
        return JSONResponse(body)

    async def insert_table(self, request: Request) -> Response:
        """tables.insert, of tables and of views."""
        body = await request.json()
        dataset = request.path_params["dataset"]
        ref = TableRef(request.path_params["project"], dataset, body["tableReference"]["tableId"])
        self._state.permissions.check(True, ref.project, ref.dataset, ref.table)
        if body.get("view"):
            await create_view(self._state, ref, body, replace=False)
        else:
            catalogue.create_table(self._state, ref, body)
        return JSONResponse(catalogue.table_as_json(self._state, ref))

    async def get_table(self, request: Request) -> Response:
        """tables.get."""
        ref = self._table(request, writing=False)
        return JSONResponse(catalogue.table_as_json(self._state, ref))

    async def update_table(self, request: Request) -> Response:
        """tables.patch and tables.update."""
        ref = self._table(request, writing=True)
        resource = self._state.table(ref)
        check_etag(request, resource)
        body = await request.json()
        fields = (body.get("schema") or {}).get("fields")
        if body.get("view"):
            await create_view(self._state, ref, body, replace=True)
            return JSONResponse(catalogue.table_as_json(self._state, ref))
        if fields is not None:
            check_change(str(ref), catalogue.fields_of(resource), fields)
            catalogue.set_fields(self._state, ref, fields)
        settable = [name for name in catalogue.TABLE_FIELDS if name != "schema"]
        catalogue.update(resource, body, settable, request.method == "PUT")
        catalogue.touch(self._state, resource)
        catalogue.mirror(self._state, ref)
        return JSONResponse(catalogue.table_as_json(self._state, ref))

    async def delete_table(self, request: Request) -> Response:
        """tables.delete."""
        catalogue.drop_table(self._state, self._table(request, writing=True))
        return Response(status_code=204)

    async def list_rows(self, request: Request) -> Response:
        """tabledata.list."""
        ref = self._table(request, writing=False)
        resource = self._state.table(ref)
        if resource["type"] == "VIEW":
            raise invalid(f"Cannot list a table of type VIEW: {ref}.")
        start = int(request.query_params.get("pageToken") or 0)
        start = start or int(request.query_params.get("startIndex") or 0)
        limit = int(request.query_params.get("maxResults") or 10_000)
        wanted = (request.query_params.get("selectedFields") or "").split(",")
        names = [field["name"] for field in catalogue.fields_of(resource)]
        chosen = [name for name in names if name in wanted] if wanted != [""] else names
        columns = ", ".join(map(partitions.quoted, chosen))
        rows = self._state.context.engine.fetch_arrow(
            f"SELECT {columns} FROM {catalogue.duck(ref)}"
        )
        answer: Json = {
            "kind": "bigquery#tableDataList",
            "etag": resource["etag"],
            "totalRows": str(rows.num_rows),
            "rows": arrow_table_to_bq_rows(rows, offset=start, limit=limit),
        }
        if start + limit < rows.num_rows:
            answer["pageToken"] = str(start + limit)
        return JSONResponse(answer)

    def _dataset(self, request: Request, writing: bool) -> tuple[str, str]:
        project, dataset = request.path_params["project"], request.path_params["dataset"]
        self._state.permissions.check(writing, project, dataset)
        return project, dataset

    def _table(self, request: Request, writing: bool) -> TableRef:
        path = request.path_params
        ref = TableRef(path["project"], path["dataset"], path["table"].partition("$")[0])
        self._state.permissions.check(writing, ref.project, ref.dataset, ref.table)
        return ref


def check_etag(request: Request, resource: Json) -> None:
    """Refuses a change that was made against another version.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/patch (If-Match)
    """
    wanted = request.headers.get("if-match")
    if wanted is not None and wanted not in {"*", resource["etag"]}:
        raise BigQueryError("conditionNotMet", "Precondition check failed.")
